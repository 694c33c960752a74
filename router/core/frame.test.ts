import fc from 'fast-check'
import { expect, test } from 'vitest'
import { StepFrame } from '#contracts/messages.ts'
import { withOneReplaced } from '#contracts/testing/withOneReplaced.ts'
import { isStepFrame } from './frame.ts'

const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/)
const piece = {
  token: fc.string(),
  bytes: fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 3 }),
  logprob: fc.double({ noNaN: true, noDefaultInfinity: true }),
}
const choice = fc.record(
  {
    index: fc.nat(7),
    text: fc.string(),
    tokens: fc.array(fc.nat(), { maxLength: 4 }),
    logprobs: fc.array(fc.record({ ...piece, top: fc.array(fc.record(piece), { maxLength: 2 }) }), { maxLength: 2 }),
    finish: fc.constantFrom('stop', 'length'),
  },
  { requiredKeys: ['index', 'text', 'tokens'] },
)
const failure = fc.record({
  code: fc.constantFrom('refused', 'engine-fault'),
  message: fc.string(),
  retry: fc.constant({ kind: 'never' }),
})
const usage = fc.record({
  promptTokens: fc.nat(),
  completionTokens: fc.nat(),
  cachedTokens: fc.nat(),
  draftTokens: fc.nat(),
  acceptedTokens: fc.nat(),
  waitMs: fc.nat(),
  promptMs: fc.nat(),
  generationMs: fc.nat(),
})
const head = { id, number: fc.nat() }
const event = fc.oneof(
  fc.record({ kind: fc.constant('accepted'), ...head }),
  fc.record({ kind: fc.constant('refused'), ...head, failure }),
  fc.record({ kind: fc.constant('delta'), ...head, choices: fc.array(choice, { maxLength: 2 }) }),
  fc.record({
    kind: fc.constant('final'),
    ...head,
    choices: fc.array(choice, { maxLength: 2 }),
    outcome: fc.oneof(
      fc.record({ kind: fc.constant('completed'), usage }),
      fc.record({ kind: fc.constant('failed'), failure }),
    ),
  }),
)
const frame = fc.record({ worker: id, events: fc.array(event, { maxLength: 3 }) })

test('every frame of the schema is accepted', () => {
  fc.assert(
    fc.property(frame, (value) => {
      expect(StepFrame.safeParse(value).success).toBe(true)
      expect(isStepFrame(value)).toBe(true)
    }),
  )
})

test('with one part replaced by anything, check and schema agree', () => {
  fc.assert(
    fc.property(withOneReplaced(frame), (value) => {
      expect(isStepFrame(value)).toBe(StepFrame.safeParse(value).success)
    }),
    { numRuns: 2_000 },
  )
})
