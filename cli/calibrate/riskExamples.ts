/**
 * What routers kept for calibration, and what somebody found out about it: lines of JSON from files, or from every file of a folder. A line
 * that is none is a mistake with its place; a half-written last line is passed over, because a router may be writing it.
 * Never prints what a line says.
 */
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { AnswerLabel, RiskExample } from '#contracts/riskExample.ts'

/** Of one route; null: of whichever there is. */
export async function readExamples(paths: readonly string[], route: string | null): Promise<RiskExample[]> {
  const examples: RiskExample[] = []
  for (const path of await filesIn(paths))
    await readLines(path, RiskExample, (example) => {
      if (route === null || example.route === route) examples.push(example)
      if (examples.length > limits.calibration.labelsMax) throw tooMany(path)
    })
  return examples
}

export async function readAnswerLabels(paths: readonly string[]): Promise<AnswerLabel[]> {
  const labels: AnswerLabel[] = []
  for (const path of paths)
    await readLines(path, AnswerLabel, (label) => {
      labels.push(label)
      if (labels.length > limits.calibration.labelsMax) throw tooMany(path)
    })
  return labels
}

async function filesIn(paths: readonly string[]): Promise<string[]> {
  const files: string[] = []
  for (const path of paths) {
    const found = await stat(path).catch((cause: unknown) => {
      throw new Failure('invalid-configuration', `${path} cannot be read: ${String(cause)}`, { cause })
    })
    if (!found.isDirectory()) files.push(path)
    else for (const name of await readdir(path)) if (name.endsWith('.jsonl')) files.push(join(path, name))
  }
  return files.sort()
}

async function readLines<T>(path: string, schema: z.ZodType<T>, take: (value: T) => void): Promise<void> {
  await using file = await open(path).catch((cause: unknown) => {
    throw new Failure('invalid-configuration', `${path} cannot be read: ${String(cause)}`, { cause })
  })
  let number = 0
  let broken: Failure | null = null
  for await (const line of file.readLines()) {
    number += 1
    if (line.trim() === '') continue
    // Only the last line may be half written.
    if (broken !== null) throw broken
    const read = parsed(line, schema, `${path}:${number}`)
    if (read instanceof Failure) broken = read
    else take(read)
  }
}

function parsed<T>(line: string, schema: z.ZodType<T>, where: string): T | Failure {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    return new Failure('invalid-configuration', `${where} is not JSON`, { cause })
  }
  const { data, error } = schema.safeParse(value)
  if (error === undefined) return data
  const [first] = error.issues
  const place = first === undefined || first.path.length === 0 ? 'the line' : first.path.join('.')
  throw new Failure('invalid-configuration', `${where}: ${place}: ${first?.message ?? 'not of its form'}`)
}

const tooMany = (path: string) =>
  new Failure('invalid-configuration', `${path}: more than ${limits.calibration.labelsMax} lines in all`)
