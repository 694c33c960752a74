import { describe, expect, test } from 'vitest'
import type { ChoiceDelta, TokenLogprob } from '#contracts/messages.ts'
import { Failure } from '#contracts/failure.ts'
import type { RequestOutcome } from '../request.ts'
import { chatFormat, textFormat } from './format.ts'
import { StreamSink } from './stream.ts'

const identity = { id: 'x-1', created: 5, model: 'm', fingerprint: 'fp_r' }
const usage = { promptTokens: 3, completionTokens: 2, cachedTokens: 1, draftTokens: 0, acceptedTokens: 0 }
const token = (text: string): TokenLogprob => ({
  token: text,
  bytes: [...Buffer.from(text)],
  logprob: -0.5,
  top: [{ token: text, bytes: [], logprob: -0.5 }],
})
const eventOf = (text: string): unknown => JSON.parse(text.replace(/^data: /, ''))

describe('chunks are what JSON.stringify of the whole object would give', () => {
  test('whatever the text holds', () => {
    for (const text of ['"', '\n\n', '\u2028', '日本', '\\', '</script>', '\ud83d\ude00']) {
      const choice = { index: 1, text, logprobs: null, finish: null, offset: 0 }
      expect(eventOf(chatFormat(identity, { usageNull: true }).text(choice))).toEqual({
        id: 'x-1',
        object: 'chat.completion.chunk',
        created: 5,
        model: 'm',
        system_fingerprint: 'fp_r',
        choices: [{ index: 1, delta: { content: text }, logprobs: null, finish_reason: null }],
        usage: null,
      })
      expect(eventOf(textFormat(identity, { usageNull: false }).text(choice))).toMatchObject({
        object: 'text_completion',
        choices: [{ index: 1, text, logprobs: null, finish_reason: null }],
      })
    }
  })

  test('logprobs are a list of objects for chat and parallel lists for text', () => {
    const choice = { index: 0, text: 'ab', logprobs: [token('a'), token('b')], finish: null, offset: 7 }
    expect(eventOf(chatFormat(identity, { usageNull: false }).text(choice))).toMatchObject({
      choices: [
        {
          logprobs: {
            content: [{ token: 'a', logprob: -0.5, bytes: [97], top_logprobs: [{ token: 'a' }] }, { token: 'b' }],
            refusal: null,
          },
        },
      ],
    })
    expect(eventOf(textFormat(identity, { usageNull: false }).text(choice))).toMatchObject({
      choices: [
        {
          logprobs: {
            tokens: ['a', 'b'],
            token_logprobs: [-0.5, -0.5],
            top_logprobs: [{ a: -0.5 }, { b: -0.5 }],
            text_offset: [7, 8],
          },
        },
      ],
    })
  })
})

/** A client that can stop reading. */
const client = (includeUsage = false) => {
  const written: string[] = []
  const output = {
    started: false,
    blocked: false,
    write(events: string) {
      this.started = true
      written.push(events)
    },
    end: (events: string, _outcome: RequestOutcome) => void written.push(`${events}<end>`),
    fail: (failure: Failure) => void written.push(`<${failure.code}>`),
    abandon: () => void written.push('<abandoned>'),
    cutOff: () => void written.push('<cut off>'),
  }
  const format = textFormat(identity, { usageNull: includeUsage })
  const sink = new StreamSink({ format, includeUsage, output })
  const texts = () => written.flatMap((each) => [...each.matchAll(/"text":"([^"]*)"/g)].map((match) => match[1]))
  return { written, output, sink, texts }
}
const delta = (text: string, index = 0): ChoiceDelta => ({ index, text, tokens: [1] })
const completed: RequestOutcome = { kind: 'completed', usage, embeddings: [] }

describe('a stream', () => {
  test('is one write per delta, however many choices it has', () => {
    const { sink, written } = client()
    sink.delta(0, [delta('a', 0), delta('b', 1)])
    expect(written).toHaveLength(1)
  })

  test('held back for a slow reader comes as one chunk per choice, nothing lost', () => {
    const { sink, output, texts, written } = client()
    sink.delta(0, [delta('a')])
    output.blocked = true
    for (const text of ['b', 'c', 'd']) sink.delta(0, [delta(text), delta(text.toUpperCase(), 1)])
    expect(written).toHaveLength(1)
    output.blocked = false
    sink.drained()
    sink.delta(0, [delta('e')])
    expect(texts()).toEqual(['a', 'bcd', 'BCD', 'e'])
  })

  test('that ends while its reader is slow still gets everything', () => {
    const { sink, output, written, texts } = client(true)
    sink.delta(0, [delta('a')])
    output.blocked = true
    sink.delta(0, [{ ...delta('b'), finish: 'stop' }])
    sink.end(completed)
    expect(texts()).toEqual(['a', 'b', ''])
    expect(written.at(-1)).toMatch(/"finish_reason":"stop".*"usage":\{"prompt_tokens":3.*data: \[DONE\]\n\n<end>$/s)
  })

  test('that fails before its first text is an ordinary error; after it, an error event without [DONE]', () => {
    const early = client()
    early.sink.end({ kind: 'failed', failure: new Failure('worker-lost', 'gone') })
    expect(early.written).toEqual(['<worker-lost>'])
    const late = client()
    late.sink.delta(0, [delta('a')])
    late.sink.end({ kind: 'failed', failure: new Failure('worker-lost', 'gone') })
    expect(late.written.at(-1)).toContain('data: {"error":{"message":"gone"')
    expect(late.written.join('')).not.toContain('[DONE]')
  })

  test('whose reader is too far behind is cut off', () => {
    const { sink, output, written } = client()
    output.blocked = true
    for (let i = 0; i < 300; i++) sink.delta(0, [delta('x'.repeat(1_024))])
    expect(written).toContain('<cut off>')
  })
})
