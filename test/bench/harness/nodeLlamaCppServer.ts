/**
 * The thinnest OpenAI-like HTTP around node-llama-cpp, only for measuring: chat messages in, one SSE frame per token out.
 *
 * Greedy, does not stop at the end of generation, one sequence per request; batching of concurrent evaluations is the library's.
 * The package lives in the measurement's cache, so its types are declared here, as far as they are used.
 */
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as z from 'zod'

interface Sequence {
  clearHistory(): Promise<void>
  evaluate(tokens: number[], options: object): AsyncIterable<number>
}
interface Model {
  tokenize(text: string, specialTokens: boolean): number[]
  detokenize(tokens: number[], specialTokens: boolean): string
  createContext(options: object): Promise<{ getSequence(): Sequence }>
}
interface Library {
  getLlama(options: object): Promise<{ loadModel(options: object): Promise<Model> }>
}

const Options = z.object({
  folder: z.string(),
  port: z.number(),
  modelPath: z.string(),
  threads: z.number(),
  slots: z.number(),
  contextTokensMax: z.number(),
  kvCacheType: z.string(),
})
const Body = z.object({
  messages: z.array(z.object({ role: z.string(), content: z.string() })),
  max_tokens: z.number(),
})

const options = Options.parse(JSON.parse(process.env['PEER_OPTIONS'] ?? '{}'))
const entry = join(options.folder, 'node_modules', 'node-llama-cpp', 'dist', 'index.js')
// The package is not installed here, so nothing but its own documentation can vouch for the shape.
const library = (await import(pathToFileURL(entry).href)) as Library
const llama = await library.getLlama({ gpu: false, build: 'never', logLevel: 'error', maxThreads: options.threads })
const model = await llama.loadModel({ modelPath: options.modelPath, defaultContextFlashAttention: true })
const quantised = { experimentalKvCacheKeyType: 'Q8_0', experimentalKvCacheValueType: 'Q8_0' }
const context = await model.createContext({
  sequences: options.slots,
  contextSize: options.contextTokensMax,
  batchSize: 2048,
  threads: { ideal: options.threads, min: options.threads },
  flashAttention: true,
  ...(options.kvCacheType === 'f16' ? {} : quantised),
})

const free = Array.from({ length: options.slots }, () => context.getSequence())
const waiting: ((sequence: Sequence) => void)[] = []

async function takeSequence(): Promise<Sequence> {
  return free.shift() ?? (await new Promise((resolve) => waiting.push(resolve)))
}

function giveBack(sequence: Sequence): void {
  const next = waiting.shift()
  if (next === undefined) free.push(sequence)
  else next(sequence)
}

/** ChatML with SmolLM2's own default system message, as its Jinja template renders it. */
function promptOf(messages: z.infer<typeof Body>['messages']): number[] {
  const system = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face'
  const all = messages[0]?.role === 'system' ? messages : [{ role: 'system', content: system }, ...messages]
  const text = all.map(({ role, content }) => `<|im_start|>${role}\n${content}<|im_end|>\n`).join('')
  return model.tokenize(`${text}<|im_start|>assistant\n`, true)
}

async function generate(text: string, response: ServerResponse): Promise<void> {
  const body = Body.parse(JSON.parse(text))
  const tokens = promptOf(body.messages)
  const sequence = await takeSequence()
  let completionTokens = 0
  try {
    await sequence.clearHistory()
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for await (const token of sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true })) {
      if (response.destroyed) break
      completionTokens += 1
      const content = model.detokenize([token], true) || ' '
      response.write(
        `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`,
      )
      if (completionTokens >= body.max_tokens) break
    }
    const usage = { prompt_tokens: tokens.length, completion_tokens: completionTokens }
    const last = { choices: [{ index: 0, delta: {}, finish_reason: 'length' }], usage }
    response.end(`data: ${JSON.stringify(last)}\n\ndata: [DONE]\n\n`)
  } finally {
    giveBack(sequence)
  }
}

createServer((request, response) => {
  if (request.method === 'GET') {
    response.end('ok')
    return
  }
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    generate(Buffer.concat(chunks).toString('utf8'), response).catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      response.destroy()
    })
  })
}).listen(options.port, '127.0.0.1')
