/**
 * What every model runner promises to the engine loop, as tests. Run on each implementation by `modelRunner.test.ts`.
 *
 * Nothing here knows which runner it has: where results depend on the capability, the capability is asked.
 */
import { Buffer } from 'node:buffer'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BatchSpan, DecodeResult, ModelRunner } from '../../gpu-worker/modelRunner.ts'

export interface SuiteRunnerOptions {
  readonly slots: number
  readonly contextTokensMax: number
  readonly kvLayout: 'split' | 'unified'
  readonly kvCacheType?: 'f16' | 'q8_0'
  readonly cellsMax?: number
}

export type OpenRunner = (options: SuiteRunnerOptions) => Promise<ModelRunner>

const layouts = ['split', 'unified'] as const
const usual = { slots: 4, contextTokensMax: 512, kvLayout: 'split' } as const

/** q8_0: the cache type in which results do not depend on the batch, so that equality can be asked for. */
export function modelRunnerSuite(name: string, open: OpenRunner): void {
  describe(name, () => {
    for (const kvLayout of layouts) describe(`${kvLayout} layout`, () => decodingSuite(open, kvLayout))
    describe('text', () => textSuite(open))
    describe('limits', () => limitSuite(open))
    describe('capabilities', () => capabilitySuite(open))
    describe('life', () => lifeSuite(open))
  })
}

function decodingSuite(open: OpenRunner, kvLayout: 'split' | 'unified'): void {
  let runner: ModelRunner
  let text: number[]
  beforeAll(async () => {
    runner = await open({ ...usual, kvLayout, kvCacheType: 'q8_0' })
    text = sampleTokens(runner)
  })
  afterAll(() => runner[Symbol.asyncDispose]())

  test('rows come in the order of the batch: last tokens of each span, span after span', async () => {
    const spans = [
      span(0, 0, text.slice(0, 12), 1),
      span(1, 0, text.slice(3, 20), 0),
      span(2, 0, text.slice(5, 14), 3),
      span(3, 0, text.slice(0, 7), 7),
    ]
    expect(await runner.decode(spans)).toMatchObject({ kind: 'decoded', rows: 11 })
    const rows = Array.from({ length: 11 }, (_, row) => runner.logits(row).slice())
    empty(runner)
    const ends = [text.slice(0, 12), text.slice(5, 12), text.slice(5, 13), text.slice(5, 14), text.slice(0, 1)]
    const alone = [0, 1, 2, 3, 4].map((row) => rows[row])
    for (const [i, tokens] of ends.entries()) expectSame(alone[i], await logitsAfter(runner, tokens))
  })

  test('a draft verified in one decode gives the rows of one token at a time', async () => {
    const oneByOne: Float32Array[] = []
    await runner.decode([span(0, 0, text.slice(0, 10), 1)])
    for (let i = 10; i < 16; i++) {
      await runner.decode([span(0, i, text.slice(i, i + 1), 1)])
      oneByOne.push(runner.logits(0).slice())
    }
    runner.truncate(0, 10)
    expect(await runner.decode([span(0, 10, text.slice(10, 16), 6)])).toMatchObject({ rows: 6 })
    for (const [row, expected] of oneByOne.entries()) expectSame(runner.logits(row), expected)
    empty(runner)
  })

  test('truncate takes back tokens as if they had never been', async () => {
    const expected = await logitsAfter(runner, [...text.slice(0, 8), ...text.slice(30, 34)])
    await runner.decode([span(0, 0, text.slice(0, 20), 1)])
    runner.truncate(0, 8)
    await runner.decode([span(0, 8, text.slice(30, 34), 1)])
    expectSame(runner.logits(0), expected)
    runner.truncate(0, 500)
    await runner.decode([span(0, 12, text.slice(0, 1), 1)])
    empty(runner)
  })

  test('a prompt in chunks gives the same row as in one piece', async () => {
    const whole = await logitsAfter(runner, text.slice(0, 60))
    for (const chunk of [7, 16, 59]) {
      await inChunks(runner, text.slice(0, 60), chunk)
      expectSame(runner.logits(0), whole)
      empty(runner)
    }
  })

  test('neighbours, their arrival and their end change nothing for a sequence', async () => {
    const alone = await greedy(runner, text.slice(0, 20), 6)
    await runner.decode([span(0, 0, text.slice(10, 25), 0), span(1, 0, text.slice(0, 20), 1)])
    const together: number[] = [argmax(runner.logits(0))]
    for (let step = 0; together.length < 6; step++) {
      if (step === 3) runner.truncate(0, 0)
      const own = span(1, 20 + step, together.slice(-1), 1)
      const others = [
        span(0, step < 3 ? 15 + step : step - 3, [text[step] ?? 0], 1),
        own,
        span(3, step, [text[0] ?? 0], 1),
      ]
      await runner.decode(others)
      together.push(argmax(runner.logits(1)))
    }
    expect(together).toEqual(alone)
    empty(runner)
  })

  test('a saved sequence goes on with identical logits, in its slot and in another', async () => {
    await runner.decode([span(1, 0, text.slice(0, 40), 1), span(2, 0, text.slice(20, 33), 1)])
    const bytes = runner.sequenceBytes(1)
    const state = runner.saveSequence(1)
    expect(state.byteLength).toBe(bytes)
    await runner.decode([span(1, 40, text.slice(40, 43), 1)])
    const expected = runner.logits(0).slice()
    for (const slot of [1, 0, 3]) {
      runner.truncate(slot, 0)
      expect(runner.restoreSequence(slot, state)).toBe(true)
      await runner.decode([span(slot, 40, text.slice(40, 43), 1)])
      expectSame(runner.logits(0), expected)
    }
    empty(runner)
  })

  test('a restored sequence can be cut and continued differently', async () => {
    const expected = await logitsAfter(runner, [...text.slice(0, 25), ...text.slice(50, 55)])
    await runner.decode([span(0, 0, text.slice(0, 40), 1)])
    const state = runner.saveSequence(0)
    empty(runner)
    expect(runner.restoreSequence(2, state)).toBe(true)
    runner.truncate(2, 25)
    await runner.decode([span(2, 25, text.slice(50, 55), 1)])
    expectSame(runner.logits(0), expected)
    empty(runner)
  })

  test('bytes that are no state of this runner are refused and leave the slot usable', async () => {
    const state = await savedState(runner, text.slice(0, 10))
    const broken = [
      new Uint8Array(0),
      new Uint8Array(3),
      state.subarray(0, state.length - 5),
      state.map((byte) => byte ^ 0xff),
    ]
    for (const bytes of broken) expect(runner.restoreSequence(0, bytes)).toBe(false)
    await logitsAfter(runner, text.slice(0, 5))
  })

  test('logits may be changed in place and stay so until the next decode', async () => {
    await runner.decode([span(0, 0, text.slice(0, 5), 2)])
    const [first, second] = [runner.logits(0), runner.logits(1)]
    const before = second.slice()
    first.fill(-1)
    expect(runner.logits(0).every((value) => value === -1)).toBe(true)
    expectSame(runner.logits(1), before)
    expect(first.length).toBe(runner.info.vocabularySize)
    empty(runner)
  })

  test('an aborted decode says so, and after truncate the sequence goes on', async () => {
    const expected = await logitsAfter(runner, text.slice(0, 12))
    const long = Array.from({ length: 500 }, (_, i) => text[i % text.length] ?? 0)
    const running = runner.decode([span(0, 0, text.slice(0, 9), 1), span(1, 0, long, 1)])
    runner.abort()
    const outcome = await running
    expect(['aborted', 'decoded']).toContain(outcome.kind)
    empty(runner)
    expectSame(await logitsAfter(runner, text.slice(0, 12)), expected)
  })

  test('an abort while nothing runs does not touch the next decode', async () => {
    runner.abort()
    expect(await runner.decode([span(0, 0, text.slice(0, 5), 1)])).toMatchObject({ kind: 'decoded' })
    empty(runner)
  })

  test('the event loop stays free during a decode', async () => {
    const long = Array.from({ length: 500 }, (_, i) => text[i % text.length] ?? 0)
    let turns = 0
    const running = runner.decode([span(0, 0, long, 1)])
    const result: { value?: DecodeResult } = {}
    void running.then((value) => (result.value = value))
    while (result.value === undefined) {
      turns++
      await new Promise(setImmediate)
    }
    expect(turns).toBeGreaterThan(0)
    empty(runner)
  })

  test('threads may change between decodes', async () => {
    const before = await logitsAfter(runner, text.slice(0, 12))
    const threads = runner.threads
    runner.setThreads(threads === 1 ? 2 : 1)
    expectSame(await logitsAfter(runner, text.slice(0, 12)), before)
    runner.setThreads(threads)
    expect(runner.threads).toBe(threads)
  })
}

function textSuite(open: OpenRunner): void {
  let runner: ModelRunner
  beforeAll(async () => {
    runner = await open(usual)
  })
  afterAll(() => runner[Symbol.asyncDispose]())

  test.each([
    ['plain', 'The quick brown fox, 12 times; and again.'],
    ['emoji', 'family 👨‍👩‍👧‍👦 flag 🇯🇵 tone 👍🏽'],
    ['CJK', '東京は日本の首都です。 서울은 한국의 수도이다.'],
    ['right to left', 'שלום עולם مرحبا'],
    ['controls', 'tab\there\nnew\r\nline\u0000nul\u007f'],
    ['spaces', '  leading   and   trailing  '],
    ['empty', ''],
  ])('%s text comes back from the bytes of its tokens', (_kind, text) => {
    const tokens = runner.tokenize(text, { parseSpecial: false, addBegin: false })
    expect(textOf(runner, tokens)).toBe(text)
  })

  test('unpaired surrogates become the replacement character', () => {
    const tokens = runner.tokenize('a\ud800b', { parseSpecial: false, addBegin: false })
    expect(textOf(runner, tokens)).toBe('a\ufffdb')
  })

  test('special tokens are parsed only where asked, and have no bytes of their own', () => {
    const end = runner.info.endToken
    if (end === null) throw new Error('the test model has no end token')
    const special = runner.specialText(end)
    expect(special).not.toBe('')
    expect(runner.tokenize(`hi${special}`, { parseSpecial: true, addBegin: false }).at(-1)).toBe(end)
    expect(runner.tokenize(`hi${special}`, { parseSpecial: false, addBegin: false })).not.toContain(end)
    expect(runner.pieceOf(end)).toHaveLength(0)
    expect(runner.isEndOfGeneration(end)).toBe(true)
    expect(runner.endOfGenerationTokens()).toContain(end)
  })

  test('hostile texts neither end the process nor change', { timeout: 60_000 }, () => {
    const texts = ['a', '7', ' ', '\n', '😀', '漢', "'", '.,;', 'ab '].map((part) => part.repeat(200_000 / part.length))
    for (const text of texts) {
      const tokens = runner.tokenize(text, { parseSpecial: true, addBegin: false })
      expect(textOf(runner, tokens) === text).toBe(true)
    }
  })

  test('every token has a piece, asked for twice it is the same', () => {
    for (let token = 0; token < runner.info.vocabularySize; token++) {
      expect(runner.pieceOf(token)).toBe(runner.pieceOf(token))
    }
  })

  test('what it says of itself is complete', () => {
    expect(runner.info).toMatchObject({
      slots: usual.slots,
      contextTokensMax: usual.contextTokensMax,
      kvLayout: 'split',
    })
    expect(runner.info.simulated).toBe(runner.info.kind === 'simulated')
    expect(runner.info.bytesPerToken).toBeGreaterThan(0)
    expect(runner.info.vocabularySize).toBeGreaterThan(256)
    for (const said of [runner.info.library, runner.info.cpu, runner.info.modelName, runner.info.backend])
      expect(said).not.toBe('')
  })
}

function limitSuite(open: OpenRunner): void {
  let runner: ModelRunner
  beforeAll(async () => {
    runner = await open(usual)
  })
  afterAll(() => runner[Symbol.asyncDispose]())

  test.each<[string, readonly BatchSpan[]]>([
    ['an empty batch', []],
    ['a slot that does not exist', [span(4, 0, [1], 1)]],
    ['a negative slot', [span(-1, 0, [1], 1)]],
    ['a position that leaves a gap', [span(0, 1, [1], 1)]],
    ['slots that do not ascend', [span(1, 0, [1], 1), span(0, 0, [1], 1)]],
    ['a slot twice', [span(1, 0, [1], 1), span(1, 1, [1], 1)]],
    ['a span without tokens', [span(0, 0, [], 0)]],
    ['more rows than tokens', [span(0, 0, [1], 2)]],
    ['more tokens than a slot has cells', [span(0, 0, Array<number>(513).fill(1), 1)]],
    [
      'more tokens than a batch holds',
      Array.from({ length: 4 }, (_, slot) => span(slot, 0, Array<number>(4_096).fill(1), 1)),
    ],
  ])('%s is a bug that is found before it reaches the engine', async (_what, spans) => {
    await expect(runner.decode(spans)).rejects.toMatchObject({ name: 'AssertionError' })
    expect(await runner.decode([span(0, 0, [300], 1)])).toMatchObject({ kind: 'decoded' })
    empty(runner)
  })

  test('rows that were not decoded cannot be read', async () => {
    await runner.decode([span(0, 0, [300, 301], 1)])
    for (const row of [-1, 1, 0.5]) expect(() => runner.logits(row)).toThrow(/row/)
    empty(runner)
  })

  test('tokens outside the vocabulary have no piece', () => {
    for (const token of [-1, runner.info.vocabularySize, 1.5, Number.NaN])
      expect(() => runner.pieceOf(token)).toThrow(/token/)
  })

  test('only one decode runs at a time, and cells do not change under it', async () => {
    const running = runner.decode([span(0, 0, [300, 301, 302], 1)])
    await expect(runner.decode([span(1, 0, [300], 1)])).rejects.toMatchObject({ name: 'AssertionError' })
    expect(() => runner.truncate(0, 0)).toThrow()
    expect(() => runner.saveSequence(0)).toThrow()
    expect(await running).toMatchObject({ kind: 'decoded' })
    empty(runner)
  })

  test('a whole slot can be filled and no further', async () => {
    await inChunks(runner, Array<number>(512).fill(300), 128)
    await expect(runner.decode([span(0, 512, [300], 1)])).rejects.toMatchObject({ name: 'AssertionError' })
    empty(runner)
  })

  test('only an empty slot takes a saved sequence', async () => {
    const state = await savedState(runner, [300, 301])
    await runner.decode([span(0, 0, [300], 1)])
    expect(() => runner.restoreSequence(0, state)).toThrow(/empty/)
    empty(runner)
  })
}

function capabilitySuite(open: OpenRunner): void {
  test('a unified cache that is full says no-cells, changes nothing, and has room again after truncate', async () => {
    await using runner = await open({ slots: 4, contextTokensMax: 512, kvLayout: 'unified', cellsMax: 512 })
    const tokens = Array<number>(200).fill(300)
    expect(await runner.decode([span(0, 0, tokens, 1), span(1, 0, tokens, 1)])).toMatchObject({ kind: 'decoded' })
    expect(await runner.decode([span(2, 0, tokens, 1)])).toEqual({ kind: 'no-cells' })
    expect(await runner.decode([span(0, 200, [301], 1), span(2, 0, tokens, 1)])).toEqual({ kind: 'no-cells' })
    expect(await runner.decode([span(0, 200, [301], 1)])).toMatchObject({ kind: 'decoded' })
    runner.truncate(1, 0)
    expect(await runner.decode([span(2, 0, tokens, 1)])).toMatchObject({ kind: 'decoded' })
  })

  test('embeddings have length 1, are the same each time, and tell texts apart', async () => {
    await using runner = await open(usual)
    expect(runner.info.capabilities.embeddings).toBe(true)
    const texts = ['the day is long', 'the day is very long', 'a number of people write'].map((text) =>
      runner.tokenize(text, { parseSpecial: false, addBegin: true }),
    )
    const long = Array.from({ length: 300 }, (_, i) => texts[2]?.[i % 4] ?? 0)
    const [first = [], near = [], far = [], other = []] = (await runner.embed([...texts, long])).map((vector) => [
      ...vector,
    ])
    for (const vector of [first, near, far, other]) expect(Math.hypot(...vector)).toBeCloseTo(1, 4)
    expect(dot(first, near)).toBeGreaterThan(dot(first, far))
    const [again = []] = (await Promise.all([runner.embed(texts.slice(0, 1)), runner.embed(texts.slice(1))]))[0].map(
      (v) => [...v],
    )
    expect(dot(first, again)).toBeCloseTo(1, 4)
  })

  test('a grammar bounds what may come next, or is unsupported and says so', async () => {
    await using runner = await open(usual)
    if (!runner.info.capabilities.grammar) {
      expect(() => runner.openGrammar('root ::= "yes"')).toThrow(expect.objectContaining({ code: 'unsupported' }))
      return
    }
    using grammar = runner.openGrammar('root ::= "yes" | "no"')
    const [yes = 0] = runner.tokenize('yes', { parseSpecial: false, addBegin: false })
    const [maybe = 0] = runner.tokenize('maybe', { parseSpecial: false, addBegin: false })
    expect([grammar.allows(yes), grammar.allows(maybe), grammar.allows(runner.info.endToken ?? 0)]).toEqual([
      true,
      false,
      false,
    ])
    const logits = new Float32Array(runner.info.vocabularySize)
    grammar.mask(logits)
    const allowed = [...logits.keys()].filter((token) => logits[token] !== Number.NEGATIVE_INFINITY)
    expect(allowed).toContain(yes)
    expect(allowed.every((token) => grammar.allows(token))).toBe(true)
    expect(allowed.length).toBeLessThan(20)
    grammar.accept(yes)
    expect(grammar.allows(runner.info.endToken ?? 0)).toBe(true)
    expect(() => grammar.accept(maybe)).toThrow(/outside the grammar/)
  })

  test('a grammar that does not parse is the caller’s mistake', async () => {
    await using runner = await open(usual)
    if (!runner.info.capabilities.grammar) return
    const nested = `root ::= ${'('.repeat(50_000)}"a"${')'.repeat(50_000)}`
    const chain = `${Array.from({ length: 8_000 }, (_, i) => `${i === 0 ? 'root' : `r${i}`} ::= r${i + 1}`).join('\n')}\nr8000 ::= "a"`
    const broken = [
      '',
      'root ::= (',
      'other ::= "a"',
      'root ::= root "a" | "b"',
      'root ::= missing',
      nested,
      'root ::= "a\0"',
    ]
    for (const gbnf of broken)
      expect(() => runner.openGrammar(gbnf)).toThrow(expect.objectContaining({ code: 'invalid-request' }))
    using deep = runner.openGrammar(chain)
    expect(deep.allows(runner.tokenize('a', { parseSpecial: false, addBegin: false })[0] ?? 0)).toBe(true)
  })
}

function lifeSuite(open: OpenRunner): void {
  test('after dispose every use is a bug that is found', async () => {
    const runner = await open(usual)
    await runner.decode([span(0, 0, [300], 1)])
    await runner[Symbol.asyncDispose]()
    await runner[Symbol.asyncDispose]()
    await expect(runner.decode([span(0, 1, [300], 1)])).rejects.toThrow(/disposed/)
    const uses = [
      () => runner.logits(0),
      () => runner.tokenize('a', { parseSpecial: false, addBegin: false }),
      () => runner.truncate(0, 0),
      () => runner.saveSequence(0),
      () => runner.setThreads(1),
    ]
    for (const use of uses) expect(use).toThrow(/disposed/)
  })

  test('dispose ends a running decode and waits for it', async () => {
    const runner = await open(usual)
    const running = runner.decode([span(0, 0, Array<number>(500).fill(300), 1)])
    await runner[Symbol.asyncDispose]()
    expect(['aborted', 'decoded']).toContain((await running).kind)
  })

  test('runners come and go without leaving memory behind', { timeout: 60_000 }, async () => {
    const cycle = async () => {
      await using runner = await open({ ...usual, slots: 8 })
      await runner.decode([span(0, 0, [300, 301], 1)])
      await runner.embed([[300, 301]])
    }
    for (let i = 0; i < 3; i++) await cycle()
    const before = process.memoryUsage.rss()
    for (let i = 0; i < 6; i++) await cycle()
    expect((process.memoryUsage.rss() - before) / 2 ** 20).toBeLessThan(150)
  })
}

function span(slot: number, position: number, tokens: readonly number[], logitsForLast: number): BatchSpan {
  return { slot, position, tokens, logitsForLast }
}

function sampleTokens(runner: ModelRunner): number[] {
  const text = 'When the people of the place came to the water, each of them had some number of words to say. '.repeat(
    6,
  )
  return runner.tokenize(text, { parseSpecial: false, addBegin: false })
}

function empty(runner: ModelRunner): void {
  for (let slot = 0; slot < runner.info.slots; slot++) runner.truncate(slot, 0)
}

async function logitsAfter(runner: ModelRunner, tokens: readonly number[]): Promise<Float32Array> {
  await runner.decode([span(0, 0, tokens, 1)])
  const logits = runner.logits(0).slice()
  runner.truncate(0, 0)
  return logits
}

async function savedState(runner: ModelRunner, tokens: readonly number[]): Promise<Uint8Array> {
  await runner.decode([span(0, 0, tokens, 1)])
  const state = runner.saveSequence(0)
  runner.truncate(0, 0)
  return state
}

async function inChunks(runner: ModelRunner, tokens: readonly number[], chunk: number): Promise<void> {
  for (let position = 0; position < tokens.length; position += chunk) {
    const part = tokens.slice(position, position + chunk)
    await runner.decode([span(0, position, part, position + chunk >= tokens.length ? 1 : 0)])
  }
}

async function greedy(runner: ModelRunner, prompt: readonly number[], count: number): Promise<number[]> {
  await runner.decode([span(0, 0, prompt, 1)])
  const found = [argmax(runner.logits(0))]
  while (found.length < count) {
    await runner.decode([span(0, prompt.length + found.length - 1, found.slice(-1), 1)])
    found.push(argmax(runner.logits(0)))
  }
  runner.truncate(0, 0)
  return found
}

function argmax(row: Float32Array): number {
  return row.reduce((best, value, i) => (value > (row[best] ?? 0) ? i : best), 0)
}

function expectSame(actual: Float32Array | undefined, expected: Float32Array): void {
  const difference = expected.reduce(
    (most, value, i) => Math.max(most, Math.abs(value - (actual?.[i] ?? Number.NaN))),
    0,
  )
  expect(difference).toBe(0)
}

function textOf(runner: ModelRunner, tokens: readonly number[]): string {
  return Buffer.concat(tokens.map((token) => runner.pieceOf(token))).toString('utf8')
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0)
}
