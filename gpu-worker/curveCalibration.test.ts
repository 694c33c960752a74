import { expect, test } from 'vitest'
import { type CostCurve, curveMessage, predictStepMs, priorCurve } from '#algorithms/costCurve.ts'
import { silentLog } from '#runtime/log.ts'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { Calibration, type KeptCurve } from './curveCalibration.ts'
import type { BatchSpan, DecodeResult } from './modelRunner.ts'
import { createSimulatedRunner } from './simulated/simulatedRunner.ts'

const slots = 4
const contextTokens = 64
/** What the machine takes while nothing else runs. */
const truth = (rows: number) => 10 + 2 * rows

/** A real engine as far as a calibration can see: its times are set, its neighbour comes and goes. */
class Machine {
  readonly clock = createFakeClock()
  readonly curve: CostCurve = priorCurve({ slots: 16, contextTokensMax: 1_024, stepMs: 3, promptTokensPerSecond: 500 })
  readonly kept: KeptCurve[] = []
  readonly calibration: Calibration
  hasNeighbour = false
  threads = 2
  decodes = 0
  due = 0
  #cpuMs = 0

  constructor() {
    const simulated = createSimulatedRunner({
      slots,
      contextTokensMax: 1_024,
      kvLayout: 'split',
      clock: this.clock.process('worker'),
      seed: 1,
      stepMs: 0,
      rowMs: 0,
      promptTokensPerSecond: 1_000,
      faults: [],
    })
    const threads = () => this.threads
    const runner = {
      info: { ...simulated.info, simulated: false, backend: 'cpu' },
      get threads() {
        return threads()
      },
      decode: (spans: readonly BatchSpan[]) => Promise.resolve(this.#decode(spans)),
      truncate: () => undefined,
    }
    this.calibration = new Calibration({
      runner,
      curve: () => this.curve,
      threadsMax: 2,
      cpuMs: () => this.#cpuMs,
      clock: this.clock.process('worker'),
      log: silentLog,
      onDue: () => (this.due += 1),
      keep: (kept) => Promise.resolve(void this.kept.push(kept)),
    })
  }

  msOf(rows: number): number {
    return predictStepMs(this.curve, { rows, contextTokens })
  }

  live(steps: number, ratio: number): void {
    const rows = 1
    for (let i = 0; i < steps; i++) this.calibration.stepped({ rows, contextTokens, ms: ratio * truth(rows) })
  }

  run(mayContinue = () => true): Promise<void> {
    return this.calibration.run(mayContinue)
  }

  #decode(spans: readonly BatchSpan[]): DecodeResult {
    const rows = spans.reduce((sum, { logitsForLast }) => sum + logitsForLast, 0)
    const quietMs = rows === 0 ? 64 : truth(rows)
    const isColdOrDisturbed = this.decodes++ === 0 || this.hasNeighbour
    this.#cpuMs += this.threads * quietMs
    return { kind: 'decoded', rows, decodeMs: (isColdOrDisturbed ? 2 : 1) * quietMs }
  }
}

test('a quiet machine is measured once, exactly, and its curve is kept', async () => {
  const machine = new Machine()
  machine.calibration.start(null)
  expect(machine.calibration.isDue).toBe(true)
  await machine.run()
  for (const rows of machine.curve.rows) expect(machine.msOf(rows)).toBeCloseTo(truth(rows), 6)
  expect(machine.curve.promptTokensPerSecond).toBeCloseTo(1_000, 6)
  expect(machine.calibration).toMatchObject({ isDue: false, isTrusted: true })
  expect(machine.kept).toEqual([{ curve: curveMessage(machine.curve), isQuiet: true }])
  expect(machine.decodes).toBeLessThan(4 * (machine.curve.rows.length + 1))
})

test('beside a neighbour nothing is kept; it is measured again later, and then it is', async () => {
  const machine = new Machine()
  machine.calibration.start(null)
  machine.hasNeighbour = true
  await machine.run()
  // Better than the guess of before, but live steps take over from it.
  expect(machine.msOf(8)).toBeCloseTo(2 * truth(8), 6)
  expect(machine.curve.origin).toBe('prior')
  expect([machine.kept, machine.calibration.isDue, machine.calibration.isTrusted]).toEqual([[], false, false])
  machine.hasNeighbour = false
  await machine.clock.advance(30_000)
  expect([machine.due, machine.calibration.isDue]).toEqual([1, true])
  await machine.run()
  for (const rows of machine.curve.rows) expect(machine.msOf(rows)).toBeCloseTo(truth(rows), 6)
  expect(machine.kept).toHaveLength(1)
})

test('a machine that is never quiet is measured ever more seldom', async () => {
  const machine = new Machine()
  machine.calibration.start(null)
  machine.hasNeighbour = true
  let runs = 0
  for (let minute = 0; minute < 120; minute++) {
    if (machine.calibration.isDue) {
      await machine.run()
      runs += 1
    }
    await machine.clock.advance(60_000)
  }
  expect(runs).toBeLessThan(14)
  expect(machine.kept).toEqual([])
})

test('a curve that was kept in noise is used, and measured again; one that was kept in quiet is not', () => {
  for (const isQuiet of [true, false]) {
    const machine = new Machine()
    machine.calibration.start({ curve: curveMessage(machine.curve), isQuiet })
    expect(machine.calibration).toMatchObject({ isDue: !isQuiet, isTrusted: isQuiet })
  }
})

test('live steps that disagree have it measured again, of all rows', async () => {
  const machine = new Machine()
  machine.calibration.start(null)
  await machine.run()
  machine.live(100, 1.1)
  expect(machine.calibration.isTrusted).toBe(true)
  // As if the curve of another life had been measured beside a neighbour: everything is dearer in it than it is.
  for (const line of machine.curve.ms) for (const i of line.keys()) line[i] = 2 * (line[i] ?? 0)
  const again = new Machine()
  for (const [c, line] of machine.curve.ms.entries()) again.curve.ms[c]?.splice(0, line.length, ...line)
  again.calibration.start({ curve: curveMessage(machine.curve), isQuiet: true })
  again.live(100, 1)
  expect(again.calibration).toMatchObject({ isDue: false, isTrusted: false })
  await again.clock.advance(30_000)
  expect(again.calibration.isDue).toBe(true)
  await again.run()
  for (const rows of again.curve.rows) expect(again.msOf(rows)).toBeCloseTo(truth(rows), 6)
  expect(again.calibration.isTrusted).toBe(true)
})

test('with fewer threads than the worker may have, another machine is measured: nothing is kept', async () => {
  const machine = new Machine()
  machine.calibration.start(null)
  machine.threads = 1
  await machine.run()
  expect([machine.kept, machine.calibration.isTrusted]).toEqual([[], false])
})

test('gives way between two decodes, and goes on where it had stopped', async () => {
  const machine = new Machine()
  machine.calibration.start(null)
  let left = 20
  await machine.run(() => left-- > 0)
  expect([machine.decodes, machine.calibration.isDue, machine.kept]).toEqual([20, true, []])
  await machine.run()
  expect(machine.kept).toHaveLength(1)
  const whole = new Machine()
  whole.calibration.start(null)
  await whole.run()
  // Only the prompts are computed again, to fill the cells.
  expect(machine.decodes - whole.decodes).toBeLessThan(10)
})

test('a simulated engine is never measured', () => {
  const clock = createFakeClock().process('worker')
  const settings = { seed: 1, stepMs: 0, rowMs: 0, promptTokensPerSecond: 1_000, faults: [] }
  const runner = createSimulatedRunner({ ...settings, slots, contextTokensMax: 64, kvLayout: 'split', clock })
  const machine = new Machine()
  const calibration = new Calibration({
    runner,
    curve: () => machine.curve,
    threadsMax: null,
    cpuMs: () => null,
    clock,
    log: silentLog,
    onDue: () => undefined,
    keep: () => Promise.resolve(),
  })
  calibration.start(null)
  expect(calibration.isDue).toBe(false)
})
