/** What an idle worker reports, for tests of whoever listens to reports. */
import type * as z from 'zod'
import { WorkerReport } from '../messages.ts'

export interface Reporter {
  readonly worker: string
  readonly deployment: string
  readonly revision: string
}

/** `fields` over a ready worker of eight free slots. */
export function workerReport(
  { worker, deployment, revision }: Reporter,
  fields: Partial<z.input<typeof WorkerReport>> = {},
): WorkerReport {
  return WorkerReport.parse({
    worker,
    deployment,
    revision,
    number: 0,
    state: 'ready',
    slots: { total: 8, busy: 0, waiting: 0 },
    cells: { total: 1, used: 0 },
    promptTokensPending: 0,
    prefixes: [],
    acceptanceLength: 1,
    tokensPerSecond: 0,
    experts: [],
    ...fields,
  })
}
