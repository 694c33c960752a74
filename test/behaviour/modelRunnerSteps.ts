/** What the behaviour suite of model runners is written in: spans, whole sequences and comparisons of rows. */
import { Buffer } from 'node:buffer'
import { expect } from 'vitest'
import type { BatchSpan, ModelRunner } from '../../gpu-worker/modelRunner.ts'

export interface SuiteRunnerOptions {
  readonly slots: number
  readonly contextTokensMax: number
  readonly kvLayout: 'split' | 'unified'
  readonly kvCacheType?: 'f16' | 'q8_0'
  readonly cellsMax?: number
}

export type OpenRunner = (options: SuiteRunnerOptions) => Promise<ModelRunner>

export const usual = { slots: 4, contextTokensMax: 256, kvLayout: 'split' } as const

export function span(slot: number, position: number, tokens: readonly number[], logitsForLast: number): BatchSpan {
  return { slot, position, tokens, logitsForLast }
}

export function sampleTokens(runner: ModelRunner): number[] {
  const text = 'When the people of the place came to the water, each of them had some number of words to say. '.repeat(
    6,
  )
  return runner.tokenize(text, { parseSpecial: false, addBegin: false })
}

export function empty(runner: ModelRunner): void {
  for (let slot = 0; slot < runner.info.slots; slot++) runner.truncate(slot, 0)
}

export async function logitsAfter(runner: ModelRunner, tokens: readonly number[]): Promise<Float32Array> {
  await runner.decode([span(0, 0, tokens, 1)])
  const logits = runner.logits(0).slice()
  runner.truncate(0, 0)
  return logits
}

export async function savedState(runner: ModelRunner, tokens: readonly number[]): Promise<Uint8Array> {
  await runner.decode([span(0, 0, tokens, 1)])
  const state = runner.saveSequence(0)
  runner.truncate(0, 0)
  return state
}

export async function inChunks(runner: ModelRunner, tokens: readonly number[], chunk: number): Promise<void> {
  for (let position = 0; position < tokens.length; position += chunk) {
    const part = tokens.slice(position, position + chunk)
    await runner.decode([span(0, position, part, position + chunk >= tokens.length ? 1 : 0)])
  }
}

export async function greedy(runner: ModelRunner, prompt: readonly number[], count: number): Promise<number[]> {
  await runner.decode([span(0, 0, prompt, 1)])
  const found = [argmax(runner.logits(0))]
  while (found.length < count) {
    await runner.decode([span(0, prompt.length + found.length - 1, found.slice(-1), 1)])
    found.push(argmax(runner.logits(0)))
  }
  runner.truncate(0, 0)
  return found
}

export function argmax(row: Float32Array): number {
  return row.reduce((best, value, i) => (value > (row[best] ?? 0) ? i : best), 0)
}

export function expectSame(actual: Float32Array | undefined, expected: Float32Array): void {
  const difference = expected.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (actual?.[i] ?? Number.NaN))),
    0,
  )
  expect(difference).toBe(0)
}

export function textOf(runner: ModelRunner, tokens: readonly number[]): string {
  return Buffer.concat(tokens.map((token) => runner.pieceOf(token))).toString('utf8')
}

export function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
}
