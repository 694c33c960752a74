/**
 * Is this value a `StepFrame`? The same answer as the schema in `contracts/messages.ts` (a test compares them), some thirty times
 * faster: frames are the one message that arrives for every engine step, and their schema check was the largest part of a frame's cost.
 * Only the rare, large ones (failures, embeddings) are left to the schema.
 */
import {
  everyOf,
  type Fields,
  isCount,
  isFields,
  isFigure,
  isFigureFrom,
  isId,
  isText,
  isWhole,
} from '#contracts/checks/shape.ts'
import { Outcome, type RequestEvent, type StepFrame } from '#contracts/messages.ts'
import { FailureMessage } from '#contracts/failure.ts'

export function isStepFrame(value: unknown): value is StepFrame {
  return isFields(value) && isId(value['worker']) && everyOf(value['events'], isRequestEvent)
}

function isRequestEvent(value: unknown): value is RequestEvent {
  if (!isFields(value) || !isId(value['id']) || !isWhole(value['number'])) return false
  switch (value['kind']) {
    case 'delta':
      return everyOf(value['choices'], isChoiceDelta)
    case 'accepted':
      return value['promptTokens'] === undefined || isWhole(value['promptTokens'])
    case 'refused':
      return FailureMessage.safeParse(value['failure']).success
    case 'final':
      return everyOf(value['choices'], isChoiceDelta) && isOutcome(value['outcome'])
    default:
      return false
  }
}

function isOutcome(value: unknown): boolean {
  const isPlain = isFields(value) && value['kind'] === 'completed' && value['embeddings'] === undefined
  return isPlain ? isUsage(value['usage']) : Outcome.safeParse(value).success
}

const wholeFigures = ['promptTokens', 'completionTokens', 'cachedTokens', 'draftTokens', 'acceptedTokens']
const figures = [...wholeFigures, 'waitMs', 'promptMs', 'generationMs']

function isUsage(value: unknown): boolean {
  if (!isFields(value)) return false
  for (const name of figures) if (!isFigureFrom(value[name], 0)) return false
  for (const name of wholeFigures) if (!isWhole(value[name])) return false
  return true
}

function isChoiceDelta(value: unknown): boolean {
  if (!isFields(value) || !isText(value['text'])) return false
  const { index, finish, logprobs } = value
  if (!isCount(index) || !everyOf(value['tokens'], isWhole)) return false
  if (finish !== undefined && finish !== 'stop' && finish !== 'length') return false
  return logprobs === undefined || everyOf(logprobs, isTokenLogprob)
}

function isTokenLogprob(value: unknown): boolean {
  return isPiece(value) && everyOf(value['top'], isPiece)
}

function isPiece(value: unknown): value is Fields {
  return isFields(value) && isText(value['token']) && isFigure(value['logprob']) && everyOf(value['bytes'], isByte)
}

const isByte = (value: unknown): boolean => isWhole(value) && value >= 0 && value <= 255
