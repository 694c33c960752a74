import { expect, test } from 'vitest'
import { Revision } from '#contracts/ids.ts'
import { ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { preview } from '../../operator/core/preview.ts'
import { revisionOf } from '../../operator/core/revision.ts'
import { changesOf, changeText } from './changes.ts'
import { type Present, snapshotOf } from './present.ts'
import { planText } from './text.ts'

const specOf = (fields: object = {}) => ModelDeploymentSpec.parse({ engine: { kind: 'simulated' }, ...fields })

/** A pair that serves with as many workers as its spec says. */
function serving(spec: ModelDeploymentSpec): Present {
  const revision = revisionOf(spec)
  const workers = Array.from({ length: spec.replicas ?? 1 }, (_, i) => ({
    worker: `smol-${i}`,
    revision,
    state: 'ready' as const,
    ageMs: 60_000,
  }))
  const history = [{ revision, spec, createdAt: '', state: 'good' as const, message: '' }]
  return { name: 'smol', spec, history, workers, isCached: true, replicas: spec.replicas ?? 1, drainGraceMs: 30_000 }
}

/** Revisions are hashes; here they have names. */
function told(present: Present | null, spec: ModelDeploymentSpec | null): string[] {
  const snapshot = snapshotOf(present, spec === null ? null : { name: 'smol', spec }, 1_000_000)
  const names = [
    [present?.history[0]?.revision ?? 'none', 'OLD'],
    [spec === null ? 'none' : revisionOf(spec), 'NEW'],
  ] as const
  return planText(present, snapshot, preview(snapshot, 1_000_000)).map((line) =>
    names.reduce((text, [revision, name]) => text.replaceAll(revision, name), line),
  )
}

test('no change is said in one line', () => {
  expect(told(serving(specOf()), specOf())).toEqual(['smol: no change'])
})

test('what only routers read touches no worker', () => {
  expect(told(serving(specOf()), specOf({ servedNames: ['gpt'] }))).toEqual([
    'smol: servedNames [] → ["gpt"]; no worker is touched',
  ])
})

test('a change of the engine is a rollout, with its way back', () => {
  expect(told(serving(specOf()), specOf({ engine: { kind: 'simulated', slots: 4 } }))).toEqual([
    'smol: engine.slots 8 → 4; revision OLD → NEW',
    '  1. start a worker of revision NEW, then wait until ready (900 s at most, else back to OLD)',
    '  2. drain smol-0 (replaced), then wait until it has finished (30 s at most)',
    '  3. watch it for 60 s, else back to OLD',
    '  at least 1 worker answering all the time, 2 workers at most at the same time',
  ])
})

test('a rollout without room beside the old worker says that nobody answers for a while', () => {
  const rollout = { maxSurge: 0, maxUnavailable: 1 }
  const lines = told(serving(specOf({ rollout })), specOf({ rollout, engine: { kind: 'simulated', slots: 4 } }))
  expect(lines.at(-1)).toContain('no worker answers for a while')
})

test('a new pair fetches its model first', () => {
  const target = { source: 'https://models.example/a.gguf', sha256: 'a'.repeat(64) }
  expect(told(null, ModelDeploymentSpec.parse({ target }))).toEqual([
    'smol: new, revision NEW',
    '  1. fetch https://models.example/a.gguf (unless it is in the cache), then wait until it is verified',
    '  2. start a worker of revision NEW, then wait until ready (900 s at most)',
    '  1 worker at most at the same time',
  ])
})

test('a removed pair drains; scaling keeps the number that it has, within its bounds', () => {
  expect(told(serving(specOf({ replicas: 2 })), null)).toEqual([
    'smol: removed',
    '  1. drain smol-0 (deleted), drain smol-1 (deleted), then wait until it has finished (30 s at most)',
    '  2 workers at most at the same time',
  ])
  expect(told(serving(specOf({ replicas: 3 })), specOf({ scaling: { maxReplicas: 2 } }))).toContain(
    '  1. drain smol-0 (scaled-down), then wait until it has finished (30 s at most)',
  )
})

test('workers that start or drain already are taken as they are', () => {
  const before = serving(specOf({ replicas: 2 }))
  const [first, second] = before.workers
  const workers = [
    { ...(first ?? { worker: 'a', revision: Revision.parse('x'), ageMs: 0 }), state: 'draining' as const },
    { ...(second ?? { worker: 'b', revision: Revision.parse('x'), ageMs: 0 }), state: 'starting' as const, ageMs: 0 },
  ]
  expect(told({ ...before, workers }, specOf({ replicas: 2 }))).toEqual([
    'smol: no change',
    expect.stringContaining('1. start a worker of revision OLD'),
    '  3 workers at most at the same time',
  ])
})

test('fields that came, went and changed are told apart', () => {
  const before = { a: { b: 1, c: 2 }, list: [1] }
  const after = { a: { b: 1, c: 3, d: 'x' } }
  expect(changesOf(before, after).map(changeText)).toEqual(['a.c 2 → 3', 'a.d x (new)', 'list [1] (removed)'])
})
