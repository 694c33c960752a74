import { describe, expect, test } from 'vitest'
import { calibration, referencesText } from './calibrations.fixture.ts'
import { readCascadeCalibration, readReferences } from './calibrationText.ts'

const problemsOf = (read: ReturnType<typeof readReferences> | ReturnType<typeof readCascadeCalibration>) =>
  read.kind === 'problems' ? read.problems : []

describe('references', () => {
  test('are read line by line, empty lines aside', () => {
    expect(readReferences(`\n${referencesText}\r\n\n`)).toMatchObject({
      kind: 'read',
      value: [{ answer: '2', correct: true }, { answer: 'Rome' }],
    })
  })

  test('that lack a field, or have one of another type or of no meaning, are told with their line', () => {
    const bad = [
      '{"question": "q", "answer": "a"}',
      '{"question": "q", "answer": "a", "correct": "yes"}',
      '',
      '{"question": "q", "answer": "a", "correct": true, "weight": 2}',
      'what?',
      '[]',
    ].join('\n')
    expect(problemsOf(readReferences(bad))).toEqual([
      'line 1: correct: is missing',
      'line 2: correct: Invalid input: expected boolean, received string',
      'line 4: weight: no such field; check the spelling',
      'line 5: is not JSON',
      'line 6: the document: Invalid input: expected object, received array',
    ])
  })

  test('say only so much of many mistakes', () => {
    const problems = problemsOf(readReferences(Array.from({ length: 20 }, () => 'x').join('\n')))
    expect(problems).toHaveLength(6)
    expect(problems.at(-1)).toBe('and 15 more')
  })

  test('quote only so much of a field that has no end', () => {
    const [problem, ...others] = problemsOf(readReferences(`{"${'x'.repeat(50_000)}": 1}`)).toReversed()
    expect(problem).toHaveLength(500)
    expect(problem).toMatch(/^line 1: x+…$/)
    expect(others).toHaveLength(3)
    expect(problemsOf(readCascadeCalibration('{"\\ud800": 1}')).join()).not.toMatch(/\p{Surrogate}/u)
  })

  test('are at least one, and few enough for a record', () => {
    expect(problemsOf(readReferences('\n'))).toEqual([
      'no reference; one JSON object per line: question, answer, correct',
    ])
    const many = Array.from({ length: 33 }, () => '{"question": "q", "answer": "", "correct": true}').join('\n')
    expect(problemsOf(readReferences(many))).toEqual(['33 references; at most 32'])
    expect(problemsOf(readReferences(' '.repeat(60_000)))).toEqual(['60000 bytes; at most 57344'])
    const long = JSON.stringify({ question: 'q'.repeat(5_000), answer: '', correct: true })
    expect(problemsOf(readReferences(long))).toEqual([
      'line 1: question: Too big: expected string to have <=4096 characters',
    ])
  })
})

describe('a calibration', () => {
  const text = (changed: object) => JSON.stringify({ ...calibration, ...changed }, null, 2)

  test('is read as it was written', () => {
    expect(readCascadeCalibration(text({}))).toEqual({ kind: 'read', value: calibration })
  })

  test('that was edited by hand is told the line and the field', () => {
    expect(problemsOf(readCascadeCalibration(text({ threshold: 'high' })))).toEqual([
      'line 18: threshold: Invalid input: expected number, received string',
    ])
    const prior = { answerFirst: { a: 0, b: 0.5, alike: 0.5 }, referenceFirst: calibration.prior?.referenceFirst }
    expect(problemsOf(readCascadeCalibration(text({ prior })))).toEqual([
      'line 8: prior.answerFirst.a: Too small: expected number to be >0',
    ])
    expect(problemsOf(readCascadeCalibration(text({ treshold: 1 })))).toEqual([
      'line 43: treshold: no such field; check the spelling',
    ])
    expect(problemsOf(readCascadeCalibration(text({ version: 2 })))).toHaveLength(1)
  })

  test('of another form is none', () => {
    expect(problemsOf(readCascadeCalibration('{'))).toEqual(['is not JSON'])
    expect(problemsOf(readCascadeCalibration('7'))).toHaveLength(1)
    expect(problemsOf(readCascadeCalibration(`${'['.repeat(8_000)}${']'.repeat(8_000)}`))).toHaveLength(1)
  })
})
