/**
 * The same prompt and seed under different company: alone, among others, again from the prefix cache. Texts must be equal where
 * the deployment says `reproducible: true`; elsewhere the differences are counted.
 */
import { HttpClient, type Target } from '../../bench/harness/client.ts'
import { chatBody, chatPath, isComplete } from '../../bench/harness/load.ts'
import { question, wordsOf } from '../../bench/harness/prompts.ts'
import { between, seeded } from '../../bench/harness/random.ts'
import { contentOf } from '../../bench/harness/sse.ts'

export interface Sampled {
  readonly text: string
  readonly cachedTokens: number
}

export interface ReproducibleOptions {
  readonly prompts: number
  readonly tokens: number
  readonly seed: number
  /** Longest prompt, in words; others are up to half as long. */
  readonly wordsMax: number
}

/** Half are short questions, half long texts that need several prompt chunks. */
function promptOf({ seed, wordsMax }: ReproducibleOptions, index: number): string {
  if (index % 2 === 0) return question(seed + index)
  const length = between(seeded(seed + index), Math.round(wordsMax / 4), wordsMax)
  return `${wordsOf(seed + index, length)}. Go on with this text.`
}

async function sample(client: HttpClient, prompt: string, tokens: number, seed: number): Promise<Sampled> {
  const body = { ...chatBody({ prompt, tokens }), temperature: 0.8, seed, ignore_eos: false }
  const answer = await client.post(chatPath, body)
  if (!isComplete(answer)) throw new Error(`status ${answer.status}: ${answer.body.slice(0, 300)}`)
  const { text, cachedTokens } = contentOf(answer)
  return { text, cachedTokens }
}

/** One after another, nothing else running. */
export async function alone(target: Target, options: ReproducibleOptions): Promise<Sampled[]> {
  const client = new HttpClient(target, 1)
  const results: Sampled[] = []
  for (let index = 0; index < options.prompts; index += 1)
    results.push(await sample(client, promptOf(options, index), options.tokens, index))
  await client.close()
  return results
}

/** Each beside `others` streams of other prompts that start and end at their own times. */
export async function amongOthers(target: Target, options: ReproducibleOptions, others: number): Promise<Sampled[]> {
  const client = new HttpClient(target, others + 1)
  const controller = new AbortController()
  const random = seeded(options.seed + 99)
  const lane = async () => {
    while (!controller.signal.aborted) {
      const prompt = wordsOf(between(random, 1, 1e9), between(random, 10, Math.round(options.wordsMax / 2)))
      await client.post(chatPath, chatBody({ prompt, tokens: between(random, 5, 80) }), controller.signal)
    }
  }
  const lanes = Array.from({ length: others }, lane)
  const results: Sampled[] = []
  try {
    for (let index = 0; index < options.prompts; index += 1)
      results.push(await sample(client, promptOf(options, index), options.tokens, index))
  } finally {
    controller.abort()
    await Promise.all(lanes)
    await client.close()
  }
  return results
}

export const differences = (a: readonly Sampled[], b: readonly Sampled[]): number =>
  a.filter((one, index) => one.text !== b[index]?.text).length
