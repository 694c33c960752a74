import { describe, expect, test } from 'vitest'
import { quizRow } from './quiz.ts'
import { pieceOf, tokenize } from './vocabulary.ts'

const tokensOf = (text: string) => tokenize(text, { parseSpecial: true })
const quiz = { right: 0.7, sees: 1, seed: 1 }
const saidTo = (text: string, changes: Partial<typeof quiz> = {}) => {
  const raised = [...(quizRow(tokensOf(text), { ...quiz, ...changes }) ?? [])].toSorted(([, a], [, b]) => b - a)
  return raised.map(([token]) => Buffer.from(pieceOf(token)).toString('utf8'))[0]
}
const question = (i: number) => `<|im_start|>user\nquestion ${i}<|im_end|>\n<|im_start|>assistant\n`
const comparison = (a: string, b: string, more = '') =>
  `Which?${more}\n\nPair A\nQuestion: x\nAnswer: ${a}\n\nPair B\nQuestion: y\nAnswer: ${b}\n\nA: B: C:\nThe more correct answer is`

describe('answers of known quality', () => {
  test('begin with the word that says whether they are right, as often as they were told to be', () => {
    const said = Array.from({ length: 1_000 }, (_, i) => saidTo(question(i)))
    const share = said.filter((word) => word === ' good').length / said.length
    expect(new Set(said)).toEqual(new Set([' good', ' not']))
    expect(share).toBeGreaterThan(0.65)
    expect(share).toBeLessThan(0.75)
    expect(saidTo(question(3))).toBe(said[3])
    expect(saidTo('Q: x\nAnswer:', { right: 1 })).toBe(' good')
  })

  test('are left alone behind their beginning', () => {
    expect(saidTo(`${question(1)} good`)).toBeUndefined()
    expect(saidTo('assistant\n')).toBeUndefined()
  })
})

describe('the simulated judge', () => {
  test('says which of two answers is the right one, or that they are alike', () => {
    expect(saidTo(comparison('good day', 'not so'))).toBe('A')
    expect(saidTo(comparison('not so', 'good day'))).toBe('B')
    expect(saidTo(comparison('good', 'good'))).toBe('C')
    expect(saidTo(comparison('2', 'Answer: not good'))).toBe('C')
  })

  test('that sees half of them is right about those, and about a third of the others', () => {
    const said = Array.from({ length: 1_000 }, (_, i) => saidTo(comparison('good', 'not', `${i}`), { sees: 0.5 }))
    const share = said.filter((label) => label === 'A').length / said.length
    expect(share).toBeGreaterThan(0.61)
    expect(share).toBeLessThan(0.72)
  })
})
