import { describe, expect, test } from 'vitest'
import type { ExpertRefusal } from '#contracts/records.ts'
import { type ConditionType, ModelDeploymentSpec } from '#contracts/resources/modelDeployment.ts'
import { adapterFilesOf, filesOf, type ModelState, type ObservedWorker } from './observed.ts'
import { planDeployment } from './plan.ts'
import { recordOf } from './record.ts'
import { revisionOf } from './revision.ts'
import { statusOf } from './status.ts'
import { anyModel, desiredFor, observedOf, registrationOf, workerOf } from './testing.ts'
import { workerConfigOf } from './workerConfig.ts'

const file = (letter: string) => ({ ...anyModel, sha256: letter.repeat(64) })
const experts = [
  { name: 'sql', adapter: file('b') },
  { name: 'verse', adapter: file('c') },
]
const gate = { file: file('d'), probabilityMin: 0.25 }
const specWith = (fields: object) => ModelDeploymentSpec.parse({ replicas: 1, target: anyModel, ...fields })
const spec = specWith({ experts, gate })
const desired = desiredFor(spec)
const { revision } = desired

const worker = (refused: ExpertRefusal[] = []): ObservedWorker => {
  const usable = experts.map(({ name }) => name).filter((name) => refused.every(({ expert }) => expert !== name))
  const hasGate = refused.every(({ expert }) => expert !== null)
  const said = { usable, refused, gate: hasGate ? { sha256: gate.file.sha256 } : null }
  return workerOf('w', revision, { said: 'ready', registration: registrationOf('w', revision, { experts: said }) })
}

type Given = Parameters<typeof observedOf>[0]
function conditionOf(type: ConditionType, given: Given) {
  const observed = observedOf({ desired, ...given })
  const status = statusOf(observed, planDeployment(observed, 1_000), { now: 1_000, nowIso: observed.nowIso })
  const { status: holds, reason, message } = status?.conditions.find((each) => each.type === type) ?? {}
  return { said: `${holds} ${reason}`, message }
}

const refusal: ExpertRefusal = { expert: 'verse', reason: 'OtherBase', message: 'it is for another base' }

describe('a pair with experts', () => {
  test('has its adapters and gate fetched, as part of its revision', () => {
    expect(filesOf(spec).map(({ sha256 }) => sha256[0])).toEqual(['a', 'b', 'c', 'd'])
    const twice = specWith({ experts: [...experts, { name: 'again', adapter: file('b') }] })
    expect(filesOf(twice).map(({ sha256 }) => sha256[0])).toEqual(['a', 'b', 'c'])
    const plain = specWith({})
    const other = { ...gate, file: file('e') }
    const revisions = [plain, specWith({ experts }), spec, specWith({ experts, gate: other }), twice].map((each) =>
      revisionOf(each),
    )
    expect(new Set(revisions).size).toBe(5)
    expect(revisionOf(specWith({ experts, gate: { ...gate, probabilityMin: 0.9 } }))).toBe(revision)
  })

  test('on the simulated engine needs no adapters, and still its gate', () => {
    const simulated = specWith({ experts, gate, engine: { kind: 'simulated' } })
    expect(filesOf(simulated).map(({ sha256 }) => sha256[0])).toEqual(['d'])
    expect(adapterFilesOf(simulated)).toEqual(experts.map(({ name }) => ({ name, file: null })))
  })

  test('tells its workers where they are, and how much of them to keep', () => {
    const identity = {
      worker: worker().worker,
      deployment: observedOf().name,
      revision,
      spec,
      modelPath: '/a',
      draftPath: null,
      tablePath: null,
      acceptancePath: null,
      experts: [{ name: 'sql', path: '/b' }],
      gatePath: '/d',
    }
    const place = {
      nats: { url: '', user: '' },
      metricsPort: 0,
      metricsHost: '',
      cacheDir: '',
      logLevel: 'info',
    } as const
    expect(workerConfigOf(identity, place)).toMatchObject({
      experts: [{ name: 'sql', path: '/b' }],
      expertBytesMax: 512 * 2 ** 20,
      gatePath: '/d',
      gateSha256: gate.file.sha256,
    })
    const small = { ...identity, spec: { ...spec, expertMemoryMiB: 3 } }
    expect(workerConfigOf(small, place).expertBytesMax).toBe(3 * 2 ** 20)
  })

  test('says which file is missing, and whether workers can use them', () => {
    const ready: ModelState = { kind: 'ready', path: '/x' }
    const failed: ModelState = { kind: 'failed', message: '404 from everywhere', retryAt: null }
    const states = (verse: ModelState) =>
      new Map(filesOf(spec).map(({ sha256 }) => [sha256, sha256.startsWith('c') ? verse : ready]))
    const missing = { models: states(failed) }
    expect(conditionOf('ExpertsReady', missing)).toEqual({
      said: 'False FetchFailed',
      message: 'verse: 404 from everywhere',
    })
    expect(conditionOf('ModelCacheReady', missing).message).toContain('expert verse: 404 from everywhere')
    expect(conditionOf('ExpertsReady', { models: states({ kind: 'absent' }) }).said).toBe('False NotFetched')
    expect(conditionOf('ExpertsReady', {}).said).toBe('Unknown NoWorkerReady')
    expect(conditionOf('ExpertsReady', { workers: [worker()] })).toEqual({
      said: 'True Usable',
      message: 'sql, verse, and their gate',
    })
    expect(conditionOf('ExpertsReady', { desired: desiredFor(specWith({})) }).said).toBe('True NotNeeded')
  })

  test('serves without an expert that its workers refuse, and says why', () => {
    const workers = [worker([refusal])]
    expect(conditionOf('ExpertsReady', { workers })).toEqual({
      said: 'False OtherBase',
      message: 'expert verse is refused, requests for it fail: it is for another base',
    })
    expect(conditionOf('Ready', { workers }).said).toBe('True Serving')
    const unusable = [worker([{ expert: null, reason: 'GateUnusable', message: 'it is damaged' }])]
    expect(conditionOf('ExpertsReady', { workers: unusable }).said).toBe('False GateUnusable')
  })

  test('tells routers what clients may ask for, as its workers found it', () => {
    const recorded = (workers: ObservedWorker[]) => {
      const { experts: offered, gate: asked } = recordOf(observedOf({ desired, workers }), desired, 1_000)
      return { offered, asked }
    }
    const whole = { sha256: gate.file.sha256, probabilityMin: 0.25 }
    expect(recorded([])).toEqual({ offered: [{ name: 'sql' }, { name: 'verse' }], asked: whole })
    expect(recorded([worker()])).toEqual({ offered: [{ name: 'sql' }, { name: 'verse' }], asked: whole })
    const refused = { name: 'verse', refusal: refusal.message }
    expect(recorded([worker([refusal])])).toEqual({ offered: [{ name: 'sql' }, refused], asked: whole })
    const gateless = recorded([worker([{ expert: null, reason: 'GateUnusable', message: 'it is damaged' }])])
    expect(gateless.asked).toBeUndefined()
  })
})
