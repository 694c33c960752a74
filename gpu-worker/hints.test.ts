/** A text that came along with a request: it changes how many steps its answer takes, and nothing of the answer. */
import { describe, expect, test } from 'vitest'
import type { Dispatch } from '#contracts/messages.ts'
import { limits } from '#contracts/limits.ts'
import { recording, sampling } from './worker.fixture.ts'

const tokens = 48

async function answered(dispatch: Partial<Dispatch>, controller: 'fixed' | 'goodput' = 'fixed') {
  const { stand, steps } = recording({ speculation: { method: 'ngram', controller, draftTokensMax: 8 } })
  const id = stand.send({ sampling: sampling({ maxTokens: tokens }), ...dispatch })
  await stand.end(id)
  return { text: stand.text(id), steps: steps.length, end: stand.last(id) }
}

describe('an answer with a hint', () => {
  test.each(['fixed', 'goodput'] as const)(
    'that agrees by half takes at most 0.8 of the steps under %s, and is the same to the last character',
    async (controller) => {
      const fresh = await answered({}, controller)
      const half = Math.floor(fresh.text.length / 2)
      for (const hint of [
        fresh.text.slice(0, half) + 'something else was said from here on. '.repeat(4),
        'something else was said at first. ' + fresh.text.slice(half),
      ]) {
        const hinted = await answered({ hint }, controller)
        expect(hinted.text).toBe(fresh.text)
        expect(hinted.steps).toBeLessThanOrEqual(0.8 * fresh.steps)
      }
    },
  )

  test('that is nothing of the answer, or nonsense, changes nothing either', async () => {
    const fresh = await answered({})
    for (const hint of ['nothing of it', '', ' ', '\u0000', 'x'.repeat(limits.request.hintCharactersMax)])
      expect((await answered({ hint })).text).toBe(fresh.text)
  })

  test('may have several choices and a temperature', async () => {
    const more = { choices: 3, sampling: sampling({ maxTokens: tokens, temperature: 1 }) }
    const fresh = await answered(more)
    const hinted = await answered({ ...more, hint: fresh.text })
    expect(hinted.text).toBe(fresh.text)
    expect(hinted.steps).toBeLessThan(fresh.steps + 1)
  })
})
