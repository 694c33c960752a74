/** Is this value a `WorkerReport`? Every worker sends five a second, to every router and to the operator. */
import { limits } from '../limits.ts'
import { CostCurveMessage, WorkerReport } from '../messages.ts'
import { everyOf, type Fields, isCount, isFields, isFigureFrom, isId, isPositive, isText, isWhole } from './shape.ts'

const states: readonly unknown[] = WorkerReport.shape.state.options
const origins: readonly unknown[] = CostCurveMessage.shape.origin.options

export function isWorkerReport(value: unknown): value is WorkerReport {
  return isFields(value) && isFromWorker(value) && hasRoomFields(value) && hasPaceFields(value)
}

function isFromWorker({ worker, deployment, revision, number, state }: Fields): boolean {
  return isId(worker) && isId(deployment) && isId(revision) && isCount(number) && states.includes(state)
}

function hasRoomFields({ slots, cells, promptTokensPending, prefixes, experts }: Fields): boolean {
  if (!isFields(slots) || !isWhole(slots['total']) || !isWhole(slots['busy']) || !isWhole(slots['waiting']))
    return false
  if (!isFields(cells) || !isWhole(cells['total']) || !isWhole(cells['used'])) return false
  if (!isCount(promptTokensPending) || !everyOf(prefixes, isText)) return false
  return prefixes.length <= limits.worker.prefixDigestsMax && everyOf(experts, isText)
}

function hasPaceFields({ costCurve, acceptanceLength, tokensPerSecond, expertLoadMs }: Fields): boolean {
  if (expertLoadMs !== undefined && !isFigureFrom(expertLoadMs, 0)) return false
  if (!isFigureFrom(acceptanceLength, 1) || !isFigureFrom(tokensPerSecond, 0)) return false
  return costCurve === undefined || isCostCurve(costCurve)
}

function isCostCurve(value: unknown): boolean {
  if (!isFields(value) || !isPositive(value['promptTokensPerSecond']) || !origins.includes(value['origin']))
    return false
  const isRow = (row: unknown) => everyOf(row, isPositive)
  const isRows = (rows: unknown) => isWhole(rows) && rows > 0
  return everyOf(value['rows'], isRows) && everyOf(value['contexts'], isCount) && everyOf(value['ms'], isRow)
}
