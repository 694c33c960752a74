/** The cost curve of a runner, measured as a worker does that has nothing else to do. */
import { type CostCurve, curveMessage, priorCurve } from '#algorithms/costCurve.ts'
import type { CostCurveMessage } from '#contracts/messages.ts'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { Calibration } from '../../../gpu-worker/curveCalibration.ts'
import type { MeasurementStore } from '../../../gpu-worker/measurementStore.ts'
import type { ModelRunner } from '../../../gpu-worker/modelRunner.ts'

/** As many rows as a worker of 16 slots measures. */
const rowsMax = 48

export interface CalibratedCurve {
  readonly curve: CostCurveMessage
  /** The rounds of each shape agreed, and nobody took a CPU meanwhile. */
  readonly isQuiet: boolean
}

export async function calibratedCurve(runner: ModelRunner): Promise<CalibratedCurve> {
  const { contextTokensMax } = runner.info
  const curve: CostCurve = priorCurve({ slots: rowsMax, contextTokensMax, stepMs: 10, promptTokensPerSecond: 500 })
  let isQuiet = false
  const calibration = new Calibration({
    runner,
    curve: () => curve,
    threadsMax: null,
    cpuMs,
    clock: systemClock,
    log: silentLog,
    onDue: () => undefined,
    keep: (kept) => {
      ;({ isQuiet } = kept)
      return Promise.resolve()
    },
  })
  calibration.start(null)
  await calibration.run(() => true)
  calibration.close()
  return { curve: curveMessage(curve), isQuiet }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/** A store in which `curve` is found at first, and then what a worker has left: one life after the other. */
export function storeOf(curve: CostCurveMessage): MeasurementStore {
  let kept: unknown = { curve, isQuiet: true }
  return {
    read: (kind) => Promise.resolve(kind === 'curve' ? kept : null),
    write: (kind, _, value) => {
      if (kind === 'curve') kept = value
      return Promise.resolve()
    },
  }
}
