/**
 * Is this value a `StepFrame`? The same answer as the schema in `contracts/messages.ts` (a test compares them), some thirty times
 * faster: frames are the one message that arrives for every engine step, and their schema check was the largest part of a frame's cost.
 * Only the rare, large ones (failures, embeddings) are left to the schema.
 */
import { Outcome, type RequestEvent, type StepFrame } from '#contracts/messages.ts'
import { FailureMessage } from '#contracts/failure.ts'

type Fields = Record<string, unknown>

export function isStepFrame(value: unknown): value is StepFrame {
  return isFields(value) && isId(value['worker']) && everyOf(value['events'], isRequestEvent)
}

function isRequestEvent(value: unknown): value is RequestEvent {
  if (!isFields(value) || !isId(value['id']) || !Number.isSafeInteger(value['number'])) return false
  switch (value['kind']) {
    case 'delta':
      return everyOf(value['choices'], isChoiceDelta)
    case 'accepted':
      return value['promptTokens'] === undefined || Number.isSafeInteger(value['promptTokens'])
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
  for (const name of figures) if (!(Number.isFinite(value[name]) && Number(value[name]) >= 0)) return false
  for (const name of wholeFigures) if (!Number.isSafeInteger(value[name])) return false
  return true
}

function isChoiceDelta(value: unknown): boolean {
  if (!isFields(value) || typeof value['text'] !== 'string') return false
  const { index, finish, logprobs } = value
  if (!Number.isSafeInteger(index) || Number(index) < 0 || !everyOf(value['tokens'], isInteger)) return false
  if (finish !== undefined && finish !== 'stop' && finish !== 'length') return false
  return logprobs === undefined || everyOf(logprobs, isTokenLogprob)
}

function isTokenLogprob(value: unknown): boolean {
  return isPiece(value) && everyOf(value['top'], isPiece)
}

function isPiece(value: unknown): value is Fields {
  return (
    isFields(value) &&
    typeof value['token'] === 'string' &&
    Number.isFinite(value['logprob']) &&
    everyOf(value['bytes'], isByte)
  )
}

const isInteger = (value: unknown): boolean => Number.isSafeInteger(value)
const isByte = (value: unknown): boolean => Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 255

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function everyOf(value: unknown, matches: (item: unknown) => boolean): boolean {
  if (!Array.isArray(value)) return false
  for (let i = 0; i < value.length; i++) if (!matches(value[i])) return false
  return true
}

/** Letters, digits, `-` and `_`, 1 to 128 of them: `contracts/ids.ts`, without the cost of a regular expression per event. */
function isId(value: unknown): boolean {
  if (typeof value !== 'string' || value.length === 0 || value.length > 128) return false
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    const isLetter = (code >= 97 && code <= 122) || (code >= 65 && code <= 90)
    if (!isLetter && !(code >= 48 && code <= 57) && code !== 45 && code !== 95) return false
  }
  return true
}
