/** A model's own short answers to prompts, greedily, with what it thought of each token: as many at a time as its runner has slots. */
import type { ModelRunner } from '../../../gpu-worker/modelRunner.ts'
import { Logprobs } from '../../../gpu-worker/core/sampling/logprobs.ts'

export interface ShortAnswer {
  readonly text: string
  /** That were generated, the end of the line included. */
  readonly tokens: number
  /** Of the answer's tokens, without what ended it. */
  readonly meanLogProbability: number
  readonly leastLogProbability: number
}

interface Writing {
  readonly number: number
  readonly prompt: readonly number[]
  readonly answer: number[]
  readonly logs: number[]
  text: string
}

/** Until the end of a line or `tokensMax`. The runner's slots are emptied. */
export async function shortAnswers(
  runner: ModelRunner,
  prompts: readonly string[],
  tokensMax: number,
): Promise<ShortAnswer[]> {
  const logprobs = new Logprobs(runner.info.vocabularySize, 1)
  const answers: ShortAnswer[] = []
  const { slots } = runner.info
  for (let from = 0; from < prompts.length; from += slots) {
    const group = prompts.slice(from, from + slots).map((prompt, i): Writing => begin(runner, prompt, from + i))
    for (const slot of group.keys()) runner.truncate(slot, 0)
    let running = [...group.entries()]
    while (running.length > 0) {
      await step(runner, running, logprobs)
      running = running.filter(([, { text, answer }]) => !hasEnded(text) && answer.length < tokensMax)
    }
    for (const writing of group) answers[writing.number] = answerOf(writing)
  }
  return answers
}

function begin(runner: ModelRunner, prompt: string, number: number): Writing {
  const tokens = runner.tokenize(prompt, { parseSpecial: false, addBegin: true })
  return { number, prompt: tokens, answer: [], logs: [], text: '' }
}

async function step(runner: ModelRunner, running: readonly (readonly [number, Writing])[], logprobs: Logprobs) {
  const spans = running.map(([slot, { prompt, answer }]) => {
    const last = answer.at(-1)
    const position = last === undefined ? 0 : prompt.length + answer.length - 1
    return { slot, position, tokens: last === undefined ? prompt : [last], logitsForLast: 1 }
  })
  const decoded = await runner.decode(spans)
  if (decoded.kind !== 'decoded') throw new Error(`a step of ${running.length} answers was not computed`)
  for (const [row, [, writing]] of running.entries()) {
    logprobs.read(runner.logits(row))
    const [best] = logprobs.of(0).top
    if (best === undefined) throw new Error('a row without a token')
    writing.answer.push(best.token)
    const piece = runner.isEndOfGeneration(best.token) ? '\n' : new TextDecoder().decode(runner.pieceOf(best.token))
    writing.text += piece
    if (!hasEnded(writing.text)) writing.logs.push(best.logprob)
  }
}

/** A line with something in it is over. */
const hasEnded = (text: string) => text.trimStart().includes('\n')

function answerOf({ text, answer, logs }: Writing): ShortAnswer {
  const said = logs.length === 0 ? [0] : logs
  return {
    text,
    tokens: answer.length,
    meanLogProbability: said.reduce((sum, each) => sum + each, 0) / said.length,
    leastLogProbability: Math.min(...said),
  }
}
