/** Short answers drawn at a temperature, several of each prompt: what a model says when it is asked again. */
import type { ModelRunner } from '../../../gpu-worker/modelRunner.ts'

export interface DrawOptions {
  readonly samples: number
  readonly temperature: number
  readonly tokensMax: number
  /** 0 ≤ x < 1. */
  readonly random: () => number
}

/** Of each prompt in order, its first line as often as `samples`. The runner's slots are emptied; it has at least as many as `samples`. */
export async function drawnAnswers(
  runner: ModelRunner,
  prompts: readonly string[],
  options: DrawOptions,
): Promise<string[][]> {
  const perGroup = Math.floor(runner.info.slots / options.samples)
  const answers: string[][] = []
  for (let from = 0; from < prompts.length; from += perGroup) {
    const group = prompts.slice(from, from + perGroup).flatMap((prompt, i) =>
      Array.from({ length: options.samples }, (): Drawing => {
        const tokens = runner.tokenize(prompt, { parseSpecial: false, addBegin: true })
        return { number: from + i, prompt: tokens, drawn: [], text: '' }
      }),
    )
    for (const slot of group.keys()) runner.truncate(slot, 0)
    let running = [...group.entries()]
    while (running.length > 0) {
      await step(runner, running, options)
      running = running.filter(([, { text, drawn }]) => !hasEnded(text) && drawn.length < options.tokensMax)
    }
    for (const { number, text } of group) (answers[number] ??= []).push(text)
  }
  return answers
}

interface Drawing {
  readonly number: number
  readonly prompt: readonly number[]
  readonly drawn: number[]
  text: string
}

async function step(runner: ModelRunner, running: readonly (readonly [number, Drawing])[], options: DrawOptions) {
  const spans = running.map(([slot, { prompt, drawn }]) => {
    const last = drawn.at(-1)
    const position = last === undefined ? 0 : prompt.length + drawn.length - 1
    return { slot, position, tokens: last === undefined ? prompt : [last], logitsForLast: 1 }
  })
  const decoded = await runner.decode(spans)
  if (decoded.kind !== 'decoded') throw new Error(`a step of ${running.length} answers was not computed`)
  for (const [row, [, drawing]] of running.entries()) {
    const token = drawFrom(runner.logits(row), options)
    drawing.drawn.push(token)
    drawing.text += runner.isEndOfGeneration(token) ? '\n' : new TextDecoder().decode(runner.pieceOf(token))
  }
}

function drawFrom(logits: Float32Array, { temperature, random }: DrawOptions): number {
  const most = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - most) / temperature))
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [token, weight] of weights.entries()) {
    left -= weight
    if (left <= 0) return token
  }
  return logits.length - 1
}

const hasEnded = (text: string) => text.trimStart().includes('\n')
