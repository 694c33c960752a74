/**
 * Whether the order of cells changes results: a greedy text is computed token by token, then again with trees around it whose branches
 * are refused, so that later tokens stand in the holes of earlier branches.
 */
import type { ModelRunner } from '../../../gpu-worker/modelRunner.ts'

export interface OrderResult {
  /** Greatest difference of a logit in the first tree, before there was a hole, and in all later ones. */
  readonly first: number
  readonly later: number
  readonly compared: number
  /** Rows with another greedy token. */
  readonly flips: number
}

const sample =
  'When the people of the place came to the water, each of them had some number of words to say. Write a long story about a fox and a river. '
/** The right token is the second child at each place; after the tree one, two or three of them are kept. */
const parents = [-1, -1, 1, 1, 3, 3, 0]
const rightNodes = [1, 3, 5]

export async function measureOrder(
  runner: ModelRunner,
  { promptTokens, tokens }: { readonly promptTokens: number; readonly tokens: number },
): Promise<OrderResult> {
  const prompt = runner
    .tokenize(sample.repeat(1 + promptTokens / 20), { parseSpecial: false, addBegin: false })
    .slice(0, promptTokens)
  const { rows, text } = await plainText(runner, prompt, tokens)
  const result = { first: 0, later: 0, compared: 0, flips: 0 }
  await runner.decode([{ slot: 0, position: 0, tokens: prompt, logitsForLast: 0 }])
  let known = 1
  for (let step = 0; known < tokens - rightNodes.length; step++) {
    const wrong = (i: number) => 1_000 + ((step * 37 + i * 11) % 5_000)
    const right = text.slice(known, known + rightNodes.length)
    const drafts = parents.map((_, node) => right[rightNodes.indexOf(node)] ?? wrong(node))
    const last = text[known - 1] ?? 0
    await runner.decode([
      { slot: 0, position: promptTokens + known - 1, tokens: [last, ...drafts], logitsForLast: 8, parents },
    ])
    const path = rightNodes.slice(0, 1 + (step % rightNodes.length))
    for (const [i, node] of [-1, ...path].entries()) {
      const row = runner.logits(1 + node)
      const difference = greatestDifference(row, rows[known + i] ?? row)
      if (step === 0) result.first = Math.max(result.first, difference)
      else result.later = Math.max(result.later, difference)
      result.compared += 1
      if (bestOf(row) !== text[known + i]) result.flips += 1
    }
    runner.keepPath(0, path)
    known += path.length + 1
  }
  runner.truncate(0, 0)
  return result
}

async function plainText(
  runner: ModelRunner,
  prompt: readonly number[],
  tokens: number,
): Promise<{ rows: Float32Array[]; text: number[] }> {
  const rows: Float32Array[] = []
  const text: number[] = []
  const take = () => {
    rows.push(runner.logits(0).slice())
    text.push(bestOf(runner.logits(0)))
  }
  await runner.decode([{ slot: 0, position: 0, tokens: prompt, logitsForLast: 1 }])
  take()
  while (text.length < tokens) {
    await runner.decode([
      { slot: 0, position: prompt.length + text.length - 1, tokens: text.slice(-1), logitsForLast: 1 },
    ])
    take()
  }
  runner.truncate(0, 0)
  return { rows, text }
}

const greatestDifference = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? Number.NaN))), 0)

const bestOf = (row: Float32Array) => row.reduce((best, value, i) => (value > (row[best] ?? 0) ? i : best), 0)
