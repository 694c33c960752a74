/**
 * Conditions of what a pair is made of: its files in the cache, its target, draft and experts, its compression. Pure.
 *
 * A field that this version accepts and does not carry out is answered here: `Unknown`, reason `NoEffectYet`, by name.
 */
import type { ExpertRefusal } from '#contracts/records.ts'
import { type ConditionType, fieldsWithoutEffect } from '#contracts/resources/modelDeployment.ts'
import { type Finding, finding } from './conditions.ts'
import { count, type Facts, progressOf } from './facts.ts'
import {
  adapterFilesOf,
  draftFileOf,
  gateFileOf,
  isCached,
  type ModelState,
  modelStateOf,
  namedFilesOf,
  scalesFromZero,
} from './observed.ts'

export function artifactFindings(facts: Facts): Finding[] {
  return [
    cacheFinding(facts),
    targetFinding(facts),
    draftFinding(facts),
    expertsFinding(facts),
    compressionFinding(facts),
  ]
}

/** All files of the pair: it is one unit. The one that is furthest from ready decides. */
function cacheFinding({ observed, course, desired }: Facts): Finding {
  const { spec } = course.target
  const files = Object.entries(namedFilesOf(spec))
    .map(([name, file]) => ({ name, state: modelStateOf(observed.models, file) }))
    .filter(({ state }) => state.kind !== 'not-needed')
  if (files.length === 0) return finding('ModelCacheReady', true, 'NotNeeded', 'the simulated engine loads no model')
  const told = (say: (state: ModelState) => string) =>
    files.length === 1 && files[0] !== undefined
      ? say(files[0].state)
      : files.map(({ name, state }) => `${name}: ${say(state)}`).join('; ')
  const has = (kind: ModelState['kind']) => files.some(({ state }) => state.kind === kind)
  if (has('failed')) return finding('ModelCacheReady', false, 'FetchFailed', told(sayFile))
  if (has('fetching')) return finding('ModelCacheReady', false, 'Fetching', told(sayFile))
  if (!has('absent')) return finding('ModelCacheReady', true, 'Verified', told(sayFile))
  return observed.replicas === 0 && !scalesFromZero(desired.spec)
    ? finding('ModelCacheReady', false, 'Stopped', 'not fetched: replicas is 0')
    : finding('ModelCacheReady', false, 'NotFetched', told(sayFile))
}

function sayFile(state: ModelState): string {
  switch (state.kind) {
    case 'not-needed':
      return 'not needed'
    case 'absent':
      return 'the model is about to be fetched'
    case 'fetching':
      return progressOf(state)
    case 'ready':
      return `SHA-256 verified: ${state.path}`
    case 'failed':
      return state.message
    default:
      return state satisfies never
  }
}

function targetFinding({ course, readyNew }: Facts): Finding {
  const { spec, revision } = course.target
  const what = spec.engine.kind === 'simulated' ? 'simulated engine' : 'target model'
  if (readyNew.length > 0)
    return finding('TargetReady', true, 'Loaded', `${what} loaded by ${count(readyNew.length, 'worker')}`)
  return finding('TargetReady', false, 'NotLoaded', `no worker of revision ${revision} has loaded its ${what} yet`)
}

/** Whether its vocabulary fits, and whether it goes on working, is found by the workers: they go on without it and say so. */
function draftFinding({ observed, course, readyNew }: Facts): Finding {
  const draft = modelStateOf(observed.models, draftFileOf(course.target.spec))
  if (draft.kind === 'failed') return finding('DraftReady', false, 'FetchFailed', draft.message)
  if (draft.kind === 'absent' || draft.kind === 'fetching')
    return finding('DraftReady', false, 'NotFetched', progressOf(draft))
  const said = readyNew.flatMap((worker) => worker.registration?.speculation ?? [])
  const dropped = said.flatMap((speculation) => speculation.dropped)
  const [first] = dropped
  if (first !== undefined) {
    const message = `${count(said.filter((one) => one.dropped.length > 0).length, 'worker')} without ${first.proposer}`
    return finding('DraftReady', false, first.reason, `${message}: ${first.message}`)
  }
  if (draft.kind === 'not-needed')
    return finding('DraftReady', true, 'NotNeeded', 'the pair has no draft; nothing is needed')
  if (said.length === 0) return finding('DraftReady', 'unknown', 'NoWorkerReady', 'known once a worker is ready')
  return finding('DraftReady', true, 'Loaded', `draft loaded by ${count(said.length, 'worker')}`)
}

/** Whether an adapter fits its base is found by the workers: they go on without it and say so. */
function expertsFinding({ observed, course, readyNew }: Facts): Finding {
  const { spec } = course.target
  if (spec.experts.length === 0) return finding('ExpertsReady', true, 'NotNeeded', 'the pair has no experts')
  const files = [...adapterFilesOf(spec), { name: 'gate', file: gateFileOf(spec) }]
  const states = files.map(({ name, file }) => ({ name, state: modelStateOf(observed.models, file) }))
  const failed = states.filter(({ state }) => state.kind === 'failed')
  const told = (some: typeof states) => some.map(({ name, state }) => `${name}: ${sayFile(state)}`).join('; ')
  if (failed.length > 0) return finding('ExpertsReady', false, 'FetchFailed', told(failed))
  const missing = states.filter(({ state }) => !isCached(state))
  if (missing.length > 0) return finding('ExpertsReady', false, 'NotFetched', told(missing))
  const said = readyNew.flatMap((worker) => worker.registration?.experts ?? [])
  const [first] = said.flatMap(({ refused }) => refused)
  if (first !== undefined) return finding('ExpertsReady', false, first.reason, refusalMessage(said))
  if (said.length === 0) return finding('ExpertsReady', 'unknown', 'NoWorkerReady', 'known once a worker is ready')
  const gate = spec.gate === undefined ? '' : ', and their gate'
  return finding('ExpertsReady', true, 'Usable', `${spec.experts.map(({ name }) => name).join(', ')}${gate}`)
}

/** Each of them once, however many workers say it; what is refused, and what is done without it. */
function refusalMessage(said: readonly { readonly refused: readonly ExpertRefusal[] }[]): string {
  const refused = new Map(said.flatMap((one) => one.refused.map((refusal) => [refusal.expert, refusal.message])))
  return [...refused]
    .map(([expert, message]) =>
      expert === null
        ? `the gate is not used, requests get the model without an expert: ${message}`
        : `expert ${expert} is refused, requests for it fail: ${message}`,
    )
    .join('; ')
}

function compressionFinding(facts: Facts): Finding {
  const { course, readyNew } = facts
  const later = withoutEffect(facts, 'CompressionApplied', ['spec.compression', 'spec.kvPrediction'])
  if (later !== null) return later
  const asked = course.target.spec.compression.kvCache.type
  const types = [...new Set(readyNew.flatMap((worker) => worker.registration?.engine.kvCacheType ?? []))]
  if (types.length === 0)
    return finding('CompressionApplied', 'unknown', 'NoWorkerReady', 'known once a worker is ready')
  const message = `KV cache: ${types.join(', ')} (asked: ${asked})`
  if (asked === 'auto' || types.every((type) => type === asked))
    return finding('CompressionApplied', true, 'Applied', message)
  return finding('CompressionApplied', false, 'Differs', message)
}

/** Null: none of these fields asks for what this version does not do. */
function withoutEffect({ course }: Facts, type: ConditionType, roots: readonly string[]): Finding | null {
  const fields = fieldsWithoutEffect(course.target.spec).filter((field) => roots.some((root) => field.startsWith(root)))
  if (fields.length === 0) return null
  return finding(type, 'unknown', 'NoEffectYet', `accepted, without effect in this version: ${fields.join(', ')}`)
}
