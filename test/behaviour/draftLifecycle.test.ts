/**
 * A draft model comes and goes and is judged by what was learned of it, on the real model: what a worker sees of its draft is what the
 * heads were trained on, a draft that does not fit is left out with what is missing, and one that is closed in the middle of answers
 * changes none of them.
 */
import { mkdtemp, readFile, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { WorkerConfig } from '#contracts/workerConfig.ts'
import { type Clock, systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { calibrate } from '../../cli/calibrate.ts'
import { loadAcceptanceHeads, saveAcceptanceHeads } from '../../gpu-worker/acceptanceHeadFile.ts'
import { learnAcceptance } from '../../gpu-worker/calibration/learnAcceptance.ts'
import { DraftReplay } from '../../gpu-worker/calibration/replayDraft.ts'
import type { HeadExample } from '../../gpu-worker/core/speculation/stopping/acceptanceHead.ts'
import { confidenceRule, type DraftToken, type StopRule } from '../../gpu-worker/core/speculation/stopping/stopRule.ts'
import { createProposers } from '../../gpu-worker/createProposers.ts'
import { openDraft } from '../../gpu-worker/llama/draftProposer.ts'
import { prunedDraft } from '../../gpu-worker/llama/prunedDraft.fixture.ts'
import type { Memory } from '../../gpu-worker/memory.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import type { Proposer } from '../../gpu-worker/proposer.ts'
import { draftingPrompts } from './draftingPrompts.ts'
import { EngineStand, openModel, textsOf } from './engineStand.ts'
import { testModel } from './modelRunnerModel.ts'
import { answersOf } from './waysOfDrafting.ts'

const model = testModel()
if (model.kind === 'missing') console.warn(`the life of a draft model is not tested: ${model.reason}`)
const longMs = 600_000
const plenty: Memory = { availableBytes: 1e12, boundBy: 'machine' }
const sha256s = { modelSha256: 'a'.repeat(64), draftSha256: 'd'.repeat(64) }

describe.skipIf(model.kind === 'missing')('a draft model', () => {
  let target: ModelRunner
  let draftPath: string
  beforeAll(async () => {
    if (model.kind === 'missing') return
    draftPath = prunedDraft(model.path, join(tmpdir(), 'paceline-test-models'))
    target = await openModel(model.path, { slots: 4, contextTokensMax: 256, reproducible: true })
  }, longMs)
  afterAll(() => target?.[Symbol.asyncDispose]())

  const proposersOf = (options: { acceptancePath?: string; memory?: Memory | null; as?: ModelRunner }) =>
    createProposers(configOf({ ...sha256s, draftPath, acceptancePath: options.acceptancePath ?? null }), {
      runner: options.as ?? target,
      log: silentLog,
      clock: systemClock,
      host: process,
      readMemory: () => Promise.resolve(options.memory ?? null),
    })
  const close = (proposers: readonly Proposer[]) => {
    for (const proposer of proposers) proposer.close?.()
  }
  const tokensOf = (text: string) => target.tokenize(text, { parseSpecial: false, addBegin: false })

  describe('is judged by what was learned of it', () => {
    const prompt = () => tokensOf('Paris is the capital of France, and the largest city of')
    const answer = () => tokensOf(' the country. It has two million people')
    const warm = { temperature: 1, topK: 0, minP: 0, topP: 1 }
    let ofText: HeadExample[]
    let ofWarmText: HeadExample[]
    beforeAll(async () => {
      await using draft = await openModel(draftPath, { slots: 1, contextTokensMax: 256, reproducible: false })
      const examplesAt = (processing: typeof warm) =>
        new DraftReplay(target, draft, { lengthMax: 4, draftEvery: 1 }).examplesOf(
          { prompt: prompt(), answer: answer(), processing },
          'coupled',
        )
      ofText = await examplesAt({ ...warm, temperature: 0 })
      ofWarmText = await examplesAt(warm)
    }, longMs)

    // A replay's first text has the noise of seed 1.
    test.each([
      ['greedy', () => ofText, {}],
      ['drawn by the same noise', () => ofWarmText, { drawing: { kind: 'same-noise', processing: warm, seed: 1 } }],
    ] as const)('by the same figures that it was trained on: %s', { timeout: longMs }, async (_, examples, how) => {
      const seen: DraftToken[] = []
      const plain = confidenceRule()
      const rule: StopRule = {
        ...plain,
        next: (state, token) => (seen.push(token), plain.next(state, token)),
        shouldStop: ({ length }) => length >= 2,
      }
      const options = { path: draftPath, target, backend: 'auto', host: process, log: silentLog, rule } as const
      const opened = await openDraft(options)
      if (opened.kind !== 'opened') throw new Error(opened.fault)
      for (const [i] of answer().entries()) {
        seen.length = 0
        const tokens = [...prompt(), ...answer().slice(0, i)]
        await opened.proposer.propose([{ key: 1, tokens, tokensMax: 4, depthMax: 4, ...how }])
        const trained = trainedAt(examples(), i, answer().length)
        // What follows a rejection is never met.
        expect(trained.length).toBeLessThanOrEqual(seen.length)
        for (const [depth, { token }] of trained.entries()) expectAlike(token, seen[depth])
      }
      // Where the rule ends a draft, nothing more is computed.
      seen.length = 0
      await opened.proposer.propose([{ key: 2, tokens: prompt(), tokensMax: 4, depthMax: 4, rejectedMax: 0.7, ...how }])
      expect(seen).toHaveLength(2)
      opened.proposer.close?.()
    })

    test('and its proposals say what the head predicts', { timeout: longMs }, async () => {
      const path = join(await mkdtemp(join(tmpdir(), 'acceptance-')), 'pair.acceptance')
      const half = Math.floor(ofText.length / 2)
      const learning = { rejectionWeight: 1, heldOutShare: 0.5, seed: 1 }
      const head = learnAcceptance([ofText.slice(0, half), ofText.slice(half)], learning)
      const learned = { rejectionWeight: 1, heads: { best: head, drawn: null } }
      const request = { key: 1, tokens: prompt(), tokensMax: 3, depthMax: 3 }
      const confidence = async (acceptancePath?: string) => {
        const { proposers, unusable } = await proposersOf(acceptancePath === undefined ? {} : { acceptancePath })
        const [proposal] = (await proposers[0]?.propose([request])) ?? []
        close(proposers)
        return { said: proposal?.confidence, unusable }
      }
      await saveAcceptanceHeads(path, { ...learned, pair: { target: sha256s.modelSha256, draft: sha256s.draftSha256 } })
      const { said: own } = await confidence()
      const { said: learnt, unusable } = await confidence(path)
      expect(unusable).toEqual([])
      expect(learnt).toHaveLength(own?.length ?? 0)
      expect(learnt).not.toEqual(own)
      // Of another pair: the draft is there, and says what it always said.
      await saveAcceptanceHeads(path, { ...learned, pair: { target: 'b'.repeat(64), draft: sha256s.draftSha256 } })
      const other = await confidence(path)
      expect(other.said).toEqual(own)
      expect(other.unusable).toMatchObject([{ proposer: 'acceptance head', reason: 'AcceptanceUnusable' }])
    })
  })

  test('is judged by what the command has learned', { timeout: longMs }, async () => {
    const out = join(await mkdtemp(join(tmpdir(), 'acceptance-')), 'pair.acceptance')
    const lines: string[] = []
    const terminal = { line: (text: string) => void lines.push(text), progress() {}, error() {} }
    const never = new AbortController().signal
    const context = {
      config: { root: '.', cacheDir: 'nowhere', searchPath: [], environment: {} },
      clock: systemClock,
      random: () => 0,
      terminal,
      interrupts: { first: never, second: never, outliveStarter() {} },
    }
    const models = ['--model', model.kind === 'missing' ? '' : model.path, '--draft', draftPath, '--out', out]
    const short = ['--requests', '2', '--answer-tokens', '3', '--draft-tokens', '2']
    const little = [...short, '--draft-every', '2', '--streams', '2', '--threads', '1']
    expect(await calibrate(['acceptance', ...models, ...little], context)).toBe(0)
    const file = JSON.parse(await readFile(out, 'utf8')) as { pair: { target: string; draft: string } }
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({ source: `file://${out}` })
    const heads = await loadAcceptanceHeads(out, file.pair)
    expect([heads.best, heads.drawn].map((head) => head?.weights.every(Number.isFinite))).toEqual([true, true])
  })

  describe('is left out, and the worker goes on', () => {
    test('where memory holds its weights and not its context', { timeout: longMs }, async () => {
      const availableBytes = (await stat(draftPath)).size + limits.speculation.draftMemorySpareBytes
      const { proposers, unusable } = await proposersOf({ memory: { availableBytes, boundBy: 'control group' } })
      expect(proposers.map(({ method }) => method)).toEqual(['ngram', 'trigram'])
      expect(unusable).toMatchObject([{ proposer: 'draft', reason: 'DraftMemory' }])
      expect(unusable[0]?.message).toMatch(/^\d+ MiB of memory are missing.*its context \d+ MiB/)
    })

    test('where llama.cpp refuses its context', { timeout: longMs }, async () => {
      const as = Object.create(target, {
        // More sequences than it knows: refused before anything is taken.
        info: { value: { ...target.info, slots: 300, contextTokensMax: 8 } },
        threads: { value: 1 },
        endOfGenerationTokens: { value: () => target.endOfGenerationTokens() },
        specialText: { value: (token: number) => target.specialText(token) },
      }) as ModelRunner
      const { proposers, unusable } = await proposersOf({ as })
      expect(proposers.map(({ method }) => method)).toEqual(['ngram', 'trigram'])
      expect(unusable).toMatchObject([{ proposer: 'draft', reason: 'DraftUnusable' }])
      expect(unusable[0]?.message).toMatch(/refused a context.*Lower engine\.slots/)
    })
  })

  test('is closed in the middle of answers where memory runs out, and no text is another', {
    timeout: longMs,
  }, async () => {
    const prompts = draftingPrompts(3, { temperature: 0, maxTokens: 14 })
    const wanted = textsOf(await answersOf('nobody', prompts, { runner: target, draftPath }))
    const { proposers } = await proposersOf({ memory: plenty })
    let rounds = 0
    let closed = 0
    const [draft] = proposers
    if (draft === undefined) throw new Error('there is no draft')
    const watched: Proposer = {
      method: draft.method,
      propose: (requests) => {
        rounds += 1
        return draft.propose(requests)
      },
      forget: (key) => draft.forget(key),
      close: () => {
        closed += 1
        draft.close?.()
      },
    }
    await using stand = new EngineStand(target, {
      proposers: [watched],
      speculation: { controller: 'fixed', draftTokensMax: 2 },
      clock: lookingAllTheTime,
      readMemory: () => Promise.resolve({ ...plenty, availableBytes: rounds < 4 ? plenty.availableBytes : 0 }),
    })
    expect(textsOf(await stand.ask(prompts))).toEqual(wanted)
    expect(closed).toBe(1)
    expect(rounds).toBeGreaterThanOrEqual(4)
    expect(await stand.metrics.text()).toMatch(/proposers_dropped_total\{[^}]*method="draft"\} 1/)
  })
})

/** Memory is looked at between any two steps. */
const lookingAllTheTime: Clock = {
  ...systemClock,
  every: (ms, action) => systemClock.every(ms === limits.worker.memoryLookIntervalMs ? 1 : ms, action),
}

/** What was learned of the draft that begins after `i` tokens of the answer: its first token, then the rest. */
function trainedAt(examples: readonly HeadExample[], i: number, answerTokens: number): HeadExample[] {
  const first = examples.slice(i, i + 1)
  // Behind the first tokens of all come the others, of the last draft first.
  let draft = answerTokens
  const others: HeadExample[] = []
  for (const example of examples.slice(answerTokens)) {
    // A first token that is not taken has none behind it.
    if (example.position === 2)
      do draft -= 1
      while (examples[draft]?.taken === 0)
    if (draft === i) others.push(example)
  }
  return [...first, ...others]
}

/** Cells are of 16 bits, and what shares a step moves the last of them. */
function expectAlike(live: DraftToken, trained: DraftToken | undefined): void {
  const figures = ({ chance, law }: DraftToken) => [chance, law?.chanceMax, law?.entropy, law?.margin]
  for (const [i, figure] of figures(live).entries())
    expect(Math.abs((figure ?? 0) - ((trained && figures(trained)[i]) ?? 0))).toBeLessThan(0.05)
}

function configOf(more: object): WorkerConfig {
  return WorkerConfig.parse({
    worker: 'worker-1',
    deployment: 'real',
    revision: 'r1',
    modelPath: '/opened/elsewhere',
    engine: { slots: 4, contextTokensMax: 256 },
    kvCacheType: 'auto',
    nats: { url: 'nats://stub', user: 'worker' },
    slo: {},
    metricsPort: 0,
    cacheDir: '/nowhere',
    ...more,
  })
}
