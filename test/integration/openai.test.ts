/**
 * The whole surface through OpenAI's own Node client, with the real model behind router, NATS and worker.
 */
import OpenAI, { APIUserAbortError, AuthenticationError, BadRequestError, NotFoundError } from 'openai'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import * as z from 'zod'
import { type Platform, startPlatform } from '../bench/harness/platform.ts'
import { scrape, total } from '../bench/harness/prometheus.ts'
import { whyNoPlatform } from './support/needs.ts'
import { testModel } from '../bench/harness/model.ts'

const reason = whyNoPlatform()
if (reason !== null) console.warn(`the OpenAI surface is not tested: ${reason}`)

const apiKey = 'sk-integration-0123456789'
const model = 'smol'
const user = (content: string) => ({ role: 'user' as const, content })
const capital = { model, messages: [user('What is the capital of France? Answer in one sentence.')], temperature: 0 }

describe.skipIf(reason !== null)("OpenAI's Node client", () => {
  let platform: Platform
  let openai: OpenAI
  beforeAll(async () => {
    const modelPath = testModel() ?? ''
    const engine = { slots: 4, contextTokensMax: 1_024, threads: 1 }
    platform = await startPlatform({
      name: 'openai',
      apiKeys: { [apiKey]: 'tests' },
      deployments: [
        { name: model, modelPath, spec: { servedNames: ['gpt-tiny'], engine } },
        { name: 'embed', modelPath, spec: { engine: { ...engine, slots: 2, embeddings: true } } },
      ],
    })
    openai = new OpenAI({ apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 })
  })
  afterAll(() => platform.stop())

  test('lists the models under every name they serve, and describes one', async () => {
    const ids = (await openai.models.list()).data.map(({ id }) => id)
    expect(ids).toEqual(expect.arrayContaining([model, 'gpt-tiny', 'embed']))
    expect(await openai.models.retrieve(model)).toMatchObject({ id: model, object: 'model' })
  })

  test('answers a chat with text, a finish reason and usage that adds up', async () => {
    const { data, response } = await openai.chat.completions.create({ ...capital, max_tokens: 40 }).withResponse()
    const [choice] = data.choices
    expect(choice?.message).toMatchObject({ role: 'assistant', content: expect.stringContaining('Paris') as unknown })
    expect(choice?.finish_reason).toBe('stop')
    expect(data.usage?.total_tokens).toBe((data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0))
    expect(data.object).toBe('chat.completion')
    expect(response.headers.get('x-request-id')).toMatch(/\S+/)
  })

  test('streams the same text that it answers as a whole, with usage in the last chunk', async () => {
    const whole = await openai.chat.completions.create({ ...capital, max_tokens: 24 })
    const stream = await openai.chat.completions.create({
      ...capital,
      max_tokens: 24,
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    const finishes: (string | null)[] = []
    const usages = []
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      if (chunk.choices[0]) finishes.push(chunk.choices[0].finish_reason)
      if (chunk.usage) usages.push(chunk.usage)
    }
    expect(text).toBe(whole.choices[0]?.message.content)
    expect(finishes.at(-1)).toBe(whole.choices[0]?.finish_reason)
    expect(finishes.filter((finish) => finish !== null)).toHaveLength(1)
    expect(usages).toHaveLength(1)
    expect(usages[0]?.completion_tokens).toBe(whole.usage?.completion_tokens)
  })

  test('gives a stream helper what it needs', async () => {
    const runner = openai.chat.completions.stream({ ...capital, max_tokens: 12 })
    const final = await runner.finalChatCompletion()
    expect(final.choices[0]?.message.content?.length).toBeGreaterThan(0)
  })

  test('stops at max_tokens with finish reason length, and max_completion_tokens means the same', async () => {
    for (const limit of [{ max_tokens: 3 }, { max_completion_tokens: 3 }]) {
      const { choices, usage } = await openai.chat.completions.create({ ...capital, ...limit })
      expect(choices[0]?.finish_reason).toBe('length')
      expect(usage?.completion_tokens).toBe(3)
    }
  })

  test('completes plain prompts, several at once, with echo', async () => {
    const prompt = ['The first month of the year is', 'One, two, three,']
    const { choices } = await openai.completions.create({ model, prompt, max_tokens: 6, temperature: 0, echo: true })
    expect(choices.map(({ index }) => index)).toEqual([0, 1])
    choices.forEach(({ text }, index) => {
      expect(text.startsWith(prompt[index] ?? '')).toBe(true)
      expect(text.length).toBeGreaterThan(prompt[index]?.length ?? 0)
    })
  })

  test('streams plain completions', async () => {
    const body = { model, prompt: 'Once upon a time', max_tokens: 8, temperature: 0 }
    const whole = await openai.completions.create(body)
    let text = ''
    for await (const chunk of await openai.completions.create({ ...body, stream: true }))
      text += chunk.choices[0]?.text ?? ''
    expect(text).toBe(whole.choices[0]?.text)
  })

  test('embeds texts, the same for the same text, as numbers or as base64', async () => {
    const input = ['a small boat', 'a large ship', 'a small boat']
    const { data, usage } = await openai.embeddings.create({ model: 'embed', input })
    expect(data.map(({ index }) => index)).toEqual([0, 1, 2])
    const [first, second, third] = data.map(({ embedding }) => embedding)
    expect(first?.length).toBeGreaterThan(100)
    expect(third).toEqual(first)
    expect(second).not.toEqual(first)
    expect(Math.hypot(...(first ?? []))).toBeCloseTo(1, 3)
    expect(usage.prompt_tokens).toBeGreaterThan(0)
    const plain = await openai.embeddings.create({ model: 'embed', input: 'a small boat', encoding_format: 'float' })
    expect(plain.data[0]?.embedding).toHaveLength(first?.length ?? 0)
  })

  test('refuses embeddings of a deployment that does not give them', async () => {
    await expect(openai.embeddings.create({ model, input: 'x' })).rejects.toThrow(BadRequestError)
  })

  test('reports the log probability of every token with its alternatives', async () => {
    const { choices, usage } = await openai.chat.completions.create({
      ...capital,
      max_tokens: 5,
      logprobs: true,
      top_logprobs: 3,
    })
    const tokens = choices[0]?.logprobs?.content ?? []
    expect(tokens).toHaveLength(usage?.completion_tokens ?? -1)
    for (const { logprob, top_logprobs, token, bytes } of tokens) {
      expect(logprob).toBeLessThanOrEqual(0)
      expect(top_logprobs).toHaveLength(3)
      // Greedy: the chosen token is the likeliest.
      expect(top_logprobs[0]).toMatchObject({ token, bytes })
    }
    expect(tokens.map(({ token }) => token).join('')).toBe(choices[0]?.message.content)
  })

  test('keeps to a JSON schema, streaming or not', async () => {
    const Town = z.strictObject({
      name: z.enum(['Paris', 'Rome', 'Oslo']),
      isCapital: z.boolean(),
      tags: z.array(z.enum(['old', 'big'])).max(2),
    })
    const schema = {
      type: 'object',
      properties: {
        name: { enum: ['Paris', 'Rome', 'Oslo'] },
        isCapital: { type: 'boolean' },
        tags: { type: 'array', items: { enum: ['old', 'big'] }, maxItems: 2 },
      },
      required: ['name', 'isCapital', 'tags'],
      additionalProperties: false,
    }
    const response_format = { type: 'json_schema' as const, json_schema: { name: 'town', strict: true, schema } }
    for (const seed of [1, 2, 3]) {
      const body = {
        model,
        messages: [user('Describe a town.')],
        response_format,
        max_tokens: 120,
        temperature: 1,
        seed,
      }
      const { choices } = await openai.chat.completions.create(body)
      expect(Town.safeParse(JSON.parse(choices[0]?.message.content ?? '')).error).toBeUndefined()
      expect(choices[0]?.finish_reason).toBe('stop')
    }
  })

  test('answers with one JSON object where json_object is asked for', async () => {
    const { choices } = await openai.chat.completions.create({
      model,
      messages: [user('Give a JSON object with the keys "a" and "b", both numbers.')],
      response_format: { type: 'json_object' },
      max_tokens: 200,
      temperature: 0,
    })
    // A model this small may go on for ever inside an open string; whatever it finished must parse.
    const [choice] = choices
    if (choice?.finish_reason === 'stop') expect(JSON.parse(choice.message.content ?? '')).toBeTypeOf('object')
    expect(choice?.message.content?.trimStart().startsWith('{')).toBe(true)
  })

  test('ends before a stop string, wherever tokens cut it', async () => {
    const body = { model, prompt: 'Count: one, two, three, four,', max_tokens: 20, temperature: 0 }
    const text = (await openai.completions.create(body)).choices[0]?.text ?? ''
    const at = Math.floor(text.length / 2)
    const stop = text.slice(at, at + 3)
    const { choices } = await openai.completions.create({ ...body, stop })
    expect(choices[0]?.text).toBe(text.slice(0, text.indexOf(stop)))
    expect(choices[0]?.finish_reason).toBe('stop')
  })

  test('gives the same text for the same seed, another for another', async () => {
    const body = { model, messages: [user('Write a line about the sea.')], temperature: 1, max_tokens: 24 }
    const texts = await Promise.all(
      [11, 11, 12].map(
        async (seed) => (await openai.chat.completions.create({ ...body, seed })).choices[0]?.message.content,
      ),
    )
    expect(texts[1]).toBe(texts[0])
    expect(texts[2]).not.toBe(texts[0])
  })

  test('draws n answers, the i-th with seed + i', async () => {
    const body = { model, messages: [user('Name an animal.')], temperature: 1, max_tokens: 12 }
    const { choices, usage } = await openai.chat.completions.create({ ...body, n: 3, seed: 100 })
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2])
    const second = await openai.chat.completions.create({ ...body, seed: 101 })
    expect(choices[1]?.message.content).toBe(second.choices[0]?.message.content)
    expect(usage?.completion_tokens).toBeGreaterThan(3)
  })

  test('streams n answers with their own indexes', async () => {
    const body = { model, messages: [user('Name a colour.')], temperature: 1, max_tokens: 8, seed: 5, n: 2 }
    const whole = await openai.chat.completions.create(body)
    const texts = ['', '']
    for await (const chunk of await openai.chat.completions.create({ ...body, stream: true }))
      for (const choice of chunk.choices) texts[choice.index] += choice.delta.content ?? ''
    expect(texts).toEqual(whole.choices.map(({ message }) => message.content))
  })

  test('obeys logit_bias', async () => {
    const { choices } = await openai.completions.create({
      model,
      prompt: 'x',
      max_tokens: 4,
      temperature: 0,
      logit_bias: { 500: 100 },
    })
    const text = choices[0]?.text ?? ''
    expect(text).toBe(text.slice(0, text.length / 4).repeat(4))
  })

  test('errors come as the exceptions that callers catch, with code and param', async () => {
    const create = (body: object) => openai.chat.completions.create({ ...capital, max_tokens: 1, ...body })
    await expect(create({ model: 'nobody' })).rejects.toThrow(NotFoundError)
    await expect(create({ model: 'nobody' })).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
    await expect(create({ temperature: 3 })).rejects.toThrow(BadRequestError)
    await expect(create({ temperature: 3 })).rejects.toMatchObject({
      param: 'temperature',
      type: 'invalid_request_error',
    })
    await expect(create({ messages: [] })).rejects.toMatchObject({ status: 400, param: 'messages' })
    await expect(create({ max_tokens: -1 })).rejects.toMatchObject({ status: 400, param: 'max_tokens' })
    const long = 'word '.repeat(1_500)
    await expect(create({ messages: [user(long)] })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    })
  })

  test('a wrong key is an authentication error', async () => {
    const stranger = new OpenAI({ apiKey: 'sk-wrong', baseURL: `${platform.url}/v1`, maxRetries: 0 })
    await expect(stranger.models.list()).rejects.toThrow(AuthenticationError)
  })

  test('an aborted stream gives its slot back', async () => {
    const controller = new AbortController()
    const body = { model, messages: [user('Tell a very long story.')], max_tokens: 800, stream: true as const }
    const stream = await openai.chat.completions.create(body, { signal: controller.signal })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break
    controller.abort()
    await expect.poll(() => running(platform), { timeout: 5_000, interval: 20 }).toBe(0)
  })

  test('an aborted request without a stream gives its slot back as well', async () => {
    const controller = new AbortController()
    const body = { model, messages: [user('Tell a very long story.')], max_tokens: 800 }
    const answer = openai.chat.completions.create(body, { signal: controller.signal })
    await expect.poll(() => running(platform), { timeout: 10_000, interval: 20 }).toBe(1)
    await wait(100)
    controller.abort()
    await expect(answer).rejects.toThrow(APIUserAbortError)
    await expect.poll(() => running(platform), { timeout: 5_000, interval: 20 }).toBe(0)
  })
})

async function running(platform: Platform): Promise<number> {
  const [worker] = platform.workers
  return worker === undefined ? Number.NaN : total(await scrape(worker.metricsUrl), 'vllm:num_requests_running')
}
