/**
 * What the schema converter writes, in llama.cpp's own hands: every grammar parses there, and it accepts and forbids the same texts.
 *
 * Needs a model file for its vocabulary; skips itself with the reason where there is none.
 */
import suite from 'json-schema-test-suite'
import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import { Failure } from '#contracts/failure.ts'
import { type Sampling, samplingDefaults } from '#contracts/sampling.ts'
import { matches, parseGbnf } from '../../gpu-worker/core/grammar/gbnf.ts'
import { jsonSchemaToGrammar } from '../../gpu-worker/core/grammar/jsonSchema.ts'
import { createSampler } from '../../gpu-worker/core/sampling/sampler.ts'
import { createTextStream } from '../../gpu-worker/core/text/textStream.ts'
import { createLlamaRunner } from '../../gpu-worker/llama/llamaRunner.ts'
import type { ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { testModel } from '../behaviour/modelRunnerModel.ts'

const Group = z.object({ schema: z.unknown(), tests: z.array(z.object({ data: z.unknown() })) })
const groups = z
  .array(z.object({ schemas: z.array(Group) }))
  .parse(suite.draft4())
  .flatMap((file) => file.schemas)

const person = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 12 },
    age: { type: 'integer', minimum: 0, maximum: 150 },
    score: { type: 'number', minimum: 0, maximum: 1 },
    id: { type: 'string', format: 'uuid' },
    code: { type: 'string', pattern: '^[A-Z]{2}-\\d{3}$' },
    tags: { type: 'array', items: { enum: ['a', 'b'] }, minItems: 1, maxItems: 3 },
    friend: { anyOf: [{ $ref: '#' }, { type: 'null' }] },
    extra: { type: 'object', properties: { on: { type: 'boolean' } }, additionalProperties: { type: 'integer' } },
  },
  required: ['name', 'age', 'score', 'id', 'code', 'tags'],
}

const Person = z.object({
  name: z.string().min(1).max(12),
  age: z.int().min(0).max(150),
  score: z.number().min(0).max(1),
  id: z.guid(),
  code: z.string().regex(/^[A-Z]{2}-\d{3}$/),
  tags: z
    .array(z.enum(['a', 'b']))
    .min(1)
    .max(3),
})

const model = testModel()
if (model.kind === 'missing') {
  describe.skip(`schemas in llama.cpp (${model.reason})`, () => test('skipped', () => undefined))
  console.warn(`skipped schemas in llama.cpp: ${model.reason}`)
} else {
  const open = () =>
    createLlamaRunner({
      modelPath: model.path,
      slots: 1,
      contextTokensMax: 256,
      kvLayout: 'split',
      kvCacheType: 'f16',
      threads: 1,
      backend: 'auto',
      embeddings: false,
      host: process,
      clock: systemClock,
      log: silentLog,
    })

  describe('schemas in llama.cpp', () => {
    test('every converted schema of the suite parses, and takes the texts that our own recogniser takes', async () => {
      await using runner = await open()
      let compared = 0
      for (const { schema, tests } of groups) {
        const grammar = converted(schema)
        if (grammar === null) continue
        const own = parseGbnf(grammar)
        for (const { data } of tests) {
          const text = JSON.stringify(data)
          const accepted = follows(runner, grammar, text)
          if (accepted === null) continue
          compared += 1
          expect([schema, text, accepted]).toEqual([schema, text, matches(own, text)])
        }
      }
      expect(compared).toBeGreaterThan(150)
    })

    test('what a model writes under a grammar is valid, hot or cold', async () => {
      await using runner = await open()
      const grammar = jsonSchemaToGrammar(person)
      for (const sampling of [{ temperature: 0 }, { temperature: 1.5 }, { temperature: 1, topP: 0.9 }]) {
        const text = await generate(runner, grammar, { ...samplingDefaults, seed: 3, ...sampling })
        if (text !== null) expect(Person.safeParse(JSON.parse(text)).error).toBeUndefined()
      }
    })
  })
}

function converted(schema: unknown): string | null {
  try {
    return jsonSchemaToGrammar(schema, { undeclaredProperties: 'allow' })
  } catch (error) {
    if (error instanceof Failure) return null
    throw error
  }
}

/** Does the native grammar take the whole text? Null where the text cannot be tokenised back to itself. */
function follows(runner: ModelRunner, gbnf: string, text: string): boolean | null {
  const tokens = runner.tokenize(text, { parseSpecial: false, addBegin: false })
  if (Buffer.concat(tokens.map((token) => runner.pieceOf(token))).toString('utf8') !== text) return null
  using grammar = runner.openGrammar(gbnf)
  for (const token of tokens) {
    if (!grammar.allows(token)) return false
    grammar.accept(token)
  }
  return runner.endOfGenerationTokens().some((token) => grammar.allows(token))
}

/** The finished text, or null where the model was still writing at the end of the context. */
async function generate(runner: ModelRunner, gbnf: string, sampling: Sampling): Promise<string | null> {
  using grammar = runner.openGrammar(gbnf)
  runner.truncate(0, 0)
  const text = createTextStream({ stop: [] })
  let written = ''
  let pending = runner.tokenize('A person as JSON:', { parseSpecial: false, addBegin: true })
  const sampler = createSampler({
    sampling,
    vocabularySize: runner.info.vocabularySize,
    endTokens: runner.endOfGenerationTokens(),
    prompt: pending,
  })
  for (let position = 0; position < 250; ) {
    await runner.decode([{ slot: 0, position, tokens: pending, logitsForLast: 1 }])
    position += pending.length
    const { token } = sampler.sample({ logits: runner.logits(0), position, grammar })
    if (runner.isEndOfGeneration(token)) return written + text.finish()
    sampler.accept(token)
    grammar.accept(token)
    written += text.push(runner.pieceOf(token)).text
    pending = [token]
  }
  return null
}
