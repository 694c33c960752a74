import { describe, expect, test } from 'vitest'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { ChoiceDelta } from '#contracts/messages.ts'
import { HeldAnswer } from './heldAnswer.ts'
import { RecordingSink } from './testing/stage.ts'

const delta = (index: number, text: string, more: Partial<ChoiceDelta> = {}): ChoiceDelta => ({
  index,
  text,
  tokens: [1],
  ...more,
})
const usage = { promptTokens: 1, completionTokens: 2, cachedTokens: 0, draftTokens: 0, acceptedTokens: 0 }
const completed = { kind: 'completed', usage, embeddings: [] } as const

describe('an answer that is held back', () => {
  test('as a whole can be judged once it has ended, and then goes out', async () => {
    const held = new HeldAnswer({ choices: 1, tokens: null })
    held.delta(0, [delta(0, 'a')])
    held.delta(0, [delta(0, 'b', { finish: 'stop' })])
    held.end(completed)
    expect(await held.judgeable).toEqual({ kind: 'text', texts: ['ab'], tokens: 2 })
    const sink = new RecordingSink()
    held.release(sink)
    expect([sink.text, sink.ended]).toEqual(['ab', 'completed'])
  })

  test('after its first tokens can be judged while the rest is written; all of it goes out, once', async () => {
    const held = new HeldAnswer({ choices: 1, tokens: 2 })
    for (const text of ['a', 'b', 'c']) held.delta(0, [delta(0, text)])
    expect(await held.judgeable).toEqual({ kind: 'text', texts: ['ab'], tokens: 2 })
    const sink = new RecordingSink()
    held.release(sink)
    expect(sink.text).toBe('abc')
    held.delta(0, [delta(0, 'd')])
    held.end(completed)
    expect([sink.text, sink.ended]).toEqual(['abcd', 'completed'])
  })

  test('waits for every choice, and counts one that has ended as enough', async () => {
    const held = new HeldAnswer({ choices: 2, tokens: 2 })
    held.delta(0, [delta(0, 'a', { finish: 'stop' })])
    held.delta(0, [delta(1, 'x')])
    held.delta(0, [delta(1, 'y')])
    expect(await held.judgeable).toEqual({ kind: 'text', texts: ['a', 'xy'], tokens: 3 })
  })

  test('that was tried again is the second one only', async () => {
    const held = new HeldAnswer({ choices: 1, tokens: null })
    held.delta(0, [delta(0, 'first')])
    held.restart(0, 1)
    held.delta(0, [delta(0, 'second')])
    held.end(completed)
    expect(await held.judgeable).toMatchObject({ texts: ['second'] })
  })

  test('that says nothing is an empty text, not none', async () => {
    const held = new HeldAnswer({ choices: 2, tokens: null })
    held.end(completed)
    expect(await held.judgeable).toEqual({ kind: 'text', texts: ['', ''], tokens: 0 })
  })

  test('that fails, is cancelled or outgrows its bound says so', async () => {
    const ended = (end: (held: HeldAnswer) => void) => {
      const held = new HeldAnswer({ choices: 1, tokens: null })
      end(held)
      return held.judgeable
    }
    const failure = new Failure('engine-fault', 'broken')
    expect(await ended((held) => held.end({ kind: 'failed', failure }))).toEqual({ kind: 'failed', failure })
    expect(await ended((held) => held.end({ kind: 'cancelled' }))).toEqual({ kind: 'cancelled' })
    const large = 'x'.repeat(limits.router.innerAnswerCharactersMax + 1)
    expect(await ended((held) => held.delta(0, [delta(0, large)]))).toMatchObject({ failure: { code: 'aborted' } })
  })
})
