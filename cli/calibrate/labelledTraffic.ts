/**
 * Labelled traffic of a cascade's step, one JSON object per line: `{"question", "answer", "correct"}` where somebody has judged an answer,
 * or `{"question", "expected"}` where the step is asked and its answer compared. Never keeps or prints what a line says.
 */
import { open } from 'node:fs/promises'
import * as z from 'zod'
import type { CascadeReference } from '#contracts/calibration.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { readJsonLine, readReferences } from '../../operator/core/calibrationText.ts'

const text = z.string().max(limits.calibration.lineBytesMax)

const Line = z.strictObject({
  question: text.min(1),
  answer: text.optional(),
  correct: z.boolean().optional(),
  expected: z.union([text.min(1), z.array(text.min(1)).min(1).max(64)]).optional(),
})

export type LabelledLine =
  | { readonly kind: 'judged'; readonly question: string; readonly answer: string; readonly correct: boolean }
  /** Answered by the step, where no answer is given. */
  | {
      readonly kind: 'expected'
      readonly question: string
      readonly answer: string | null
      readonly expected: readonly string[]
    }

/** Throws a Failure that names the line that is none. */
export async function readTraffic(path: string): Promise<LabelledLine[]> {
  const lines: LabelledLine[] = []
  let number = 0
  await using file = await opened(path)
  for await (const line of file.readLines()) {
    number += 1
    if (line.trim() === '') continue
    lines.push(lineOf(line, `${path}:${number}`))
    if (lines.length > limits.calibration.labelsMax)
      throw wrong(`${path} holds more than ${limits.calibration.labelsMax} answers`)
  }
  return lines
}

export async function readReferencesFile(path: string): Promise<readonly CascadeReference[]> {
  await using file = await opened(path)
  const { size } = await file.stat()
  if (size > limits.calibration.referencesBytesMax)
    throw wrong(`${path}: ${size} bytes; at most ${limits.calibration.referencesBytesMax}`)
  const read = readReferences(await file.readFile('utf8'))
  if (read.kind === 'read') return read.value
  throw wrong(`${path}: ${read.problems.join('; ')}`)
}

const opened = (path: string) =>
  open(path).catch((cause: unknown) => {
    throw new Failure('invalid-configuration', `${path} cannot be read: ${String(cause)}`, { cause })
  })

function lineOf(line: string, where: string): LabelledLine {
  if (Buffer.byteLength(line) > limits.calibration.lineBytesMax)
    throw wrong(`${where}: at most ${limits.calibration.lineBytesMax} bytes`)
  const read = readJsonLine(Line, line)
  if (read.kind === 'problems') throw wrong(`${where}: ${read.problems.join('; ')}`)
  const { question, answer, correct, expected } = read.value
  if ((correct === undefined) === (expected === undefined)) throw wrong(`${where}: either correct or expected`)
  if (expected !== undefined) return { kind: 'expected', question, answer: answer ?? null, expected: [expected].flat() }
  if (answer === undefined || correct === undefined)
    throw wrong(`${where}: correct without the answer that it is about`)
  return { kind: 'judged', question, answer, correct }
}

const wrong = (message: string) => new Failure('invalid-configuration', message)

export const matchings = ['contains', 'exact', 'number'] as const
export type Matching = (typeof matchings)[number]

/** `contains`: as words; `exact`: the whole answer; `number`: its last number. Case, marks at the ends and spaces do not matter. */
export function isExpected(answer: string, expected: readonly string[], matching: Matching): boolean {
  switch (matching) {
    case 'exact':
      return expected.some((each) => plain(answer) === plain(each))
    case 'contains':
      return expected.some((each) => ` ${words(answer)} `.includes(` ${words(each)} `))
    case 'number': {
      const said = lastNumber(answer)
      return said !== null && expected.some((each) => lastNumber(each) === said)
    }
    default:
      return matching satisfies never
  }
}

const plain = (given: string) =>
  given
    .toLowerCase()
    .replaceAll(/\s+/g, ' ')
    .trim()
    .replaceAll(/^["'“‘(]+|["'”’).,;:!?]+$/g, '')
const words = (given: string) =>
  given
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()

function lastNumber(given: string): number | null {
  const found = given.replaceAll(/(?<=\d),(?=\d{3})/g, '').match(/-?\d+(\.\d+)?/g)
  const last = found?.at(-1)
  return last === undefined ? null : Number(last)
}
