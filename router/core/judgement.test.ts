import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TokenLogprob } from '#contracts/messages.ts'
import {
  judgePrompts,
  labelLaw,
  priorOf,
  priorPrompts,
  questionOf,
  type Reference,
  scoreOfAnswer,
} from './judgement.ts'

const asked = { question: 'What is 2 + 2?', answer: '4' }
const references: Reference[] = [
  { question: 'What is 1 + 1?', answer: '2', correct: true },
  { question: 'What is 3 + 3?', answer: '7', correct: false },
]

/** A first token with the chances of its alternatives, as a worker reports them: the likeliest is the token itself. */
function saying(chances: Readonly<Record<string, number>>): TokenLogprob {
  const top = Object.entries(chances)
    .map(([token, chance]) => ({ token, bytes: [], logprob: Math.log(chance) }))
    .toSorted((a, b) => b.logprob - a.logprob)
  return { token: top[0]?.token ?? '', bytes: [], logprob: top[0]?.logprob ?? 0, top }
}
const sure = (label: string) => saying({ ' A': 1e-6, ' B': 1e-6, ' C': 1e-6, [` ${label}`]: 0.999_998 })

/** Knows the right answers by heart, and says of each prompt which pair is better. */
function perfectJudge(answerCorrect: boolean): TokenLogprob[] {
  return references.flatMap(({ correct }) => {
    if (correct === answerCorrect) return [sure('C'), sure('C')]
    return answerCorrect ? [sure('B'), sure('A')] : [sure('A'), sure('B')]
  })
}

describe('prompts', () => {
  const prompts = judgePrompts(asked, references)

  test('ask about each reference in both places', () => {
    expect(prompts).toHaveLength(4)
    expect(prompts[0]).toMatch(
      /Pair A\nQuestion: What is 1 \+ 1\?\nAnswer: 2\n\nPair B\nQuestion: What is 2 \+ 2\?\nAnswer: 4/,
    )
    expect(prompts[1]).toMatch(
      /Pair A\nQuestion: What is 2 \+ 2\?\nAnswer: 4\n\nPair B\nQuestion: What is 1 \+ 1\?\nAnswer: 2/,
    )
  })

  test('begin alike for every request as far as the reference goes, so that its state is kept', () => {
    const other = judgePrompts({ question: 'What is the capital of France?', answer: 'Paris' }, references)
    for (const i of [0, 2]) {
      const upToAnswer = prompts[i]?.indexOf('What is 2 + 2?') ?? 0
      expect(other[i]?.slice(0, upToAnswer)).toBe(prompts[i]?.slice(0, upToAnswer))
      expect(upToAnswer).toBeGreaterThan(150)
    }
  })
})

describe('the score', () => {
  test('of a perfect judge is 1 for a right answer and -1 for a wrong one', () => {
    expect(scoreOfAnswer(perfectJudge(true), references)).toBeCloseTo(1, 4)
    expect(scoreOfAnswer(perfectJudge(false), references)).toBeCloseTo(-1, 4)
  })

  test('of a judge that always says A is the same for every answer', () => {
    const always = Array.from({ length: 4 }, () => sure('A'))
    expect(scoreOfAnswer(always, references)).toBeCloseTo(0, 4)
  })

  test('of a judge that says what it says of empty pairs is that of no opinion, whatever its liking', () => {
    const chances = fc.double({ min: 0.02, max: 0.9, noNaN: true })
    fc.assert(
      fc.property(chances, chances, chances, (a, b, c) => {
        const liking = saying({ A: a, B: b, C: c })
        const prior = priorOf([liking, liking])
        const said = Array.from({ length: 4 }, () => liking)
        expect(prior).not.toBeNull()
        // Each of a right and a wrong reference: a third better, a third worse; they cancel.
        expect(scoreOfAnswer(said, references, prior ?? undefined)).toBeCloseTo(0, 9)
      }),
    )
    expect(priorPrompts()).toHaveLength(2)
  })

  test('leaves out a reference of which a look is missing, and is none where all are', () => {
    const [first, second] = perfectJudge(true)
    expect(scoreOfAnswer([first, second, undefined, sure('A')], references)).toBeCloseTo(1, 4)
    expect(scoreOfAnswer([undefined, undefined, undefined, undefined], references)).toBeNull()
    const silent = saying({ the: 0.9, a: 0.1 })
    expect(scoreOfAnswer([silent, silent, silent, silent], references)).toBeNull()
    expect(priorOf([silent, silent])).toBeNull()
  })
})

describe('labels', () => {
  test('with and without a space in front are one', () => {
    const law = labelLaw(saying({ ' A': 0.3, A: 0.2, ' B': 0.5 }))
    expect(law?.a).toBeGreaterThan(0.3)
    expect((law?.a ?? 0) / (law?.b ?? 1)).toBeCloseTo(1, 9)
  })

  test('that were not reported are as unlikely as the least that was', () => {
    const law = labelLaw(saying({ ' A': 0.6, ' B': 0.2, ' the': 0.1 }))
    expect((law?.alike ?? 0) / (law?.b ?? 1)).toBeCloseTo(0.5, 9)
  })

  test('are not read out of other words', () => {
    expect(labelLaw(saying({ ' An': 0.6, ' But': 0.4 }))).toBeNull()
    expect(labelLaw(undefined)).toBeNull()
  })
})

describe('what was asked', () => {
  const chat = (...messages: [string, string][]) =>
    questionOf({ kind: 'chat', messages: messages.map(([role, content]) => ({ role, content })) })

  test('is the question as references ask it, whatever the system prompt', () => {
    expect(chat(['user', '1+1?'])).toBe('1+1?')
    expect(chat(['system', 'be brief'], ['user', '1+1?'])).toBe('1+1?')
    expect(chat(['system', 'be brief'])).toBe('be brief')
    expect(questionOf({ kind: 'completion', prompt: '1+1=', echo: false })).toBe('1+1=')
  })

  test('of a conversation is all that was said', () => {
    expect(chat(['user', '1+1?'], ['assistant', '2'], ['user', 'sure?'])).toBe('user: 1+1?\nassistant: 2\nuser: sure?')
  })

  test('cannot be told of token ids or embeddings', () => {
    expect(questionOf({ kind: 'completion', prompt: [1, 2], echo: false })).toBeNull()
    expect(questionOf({ kind: 'embedding', inputs: ['x'] })).toBeNull()
  })
})
