/**
 * What every model runner promises to the engine loop, as tests. Run on each implementation by `modelRunner.test.ts`.
 *
 * Nothing here knows which runner it has: where results depend on the capability, the capability is asked.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BatchSpan, ModelRunner } from '../../gpu-worker/modelRunner.ts'
import { callSuite, rowSuite, stateSuite } from './modelRunnerDecoding.ts'
import { treeSuite } from './modelRunnerTrees.ts'
import { dot, empty, inChunks, type OpenRunner, savedState, span, textOf, usual } from './modelRunnerSteps.ts'

export function modelRunnerSuite(name: string, open: OpenRunner): void {
  describe(name, () => {
    for (const kvLayout of ['split', 'unified'] as const) {
      describe(`rows, ${kvLayout} layout`, () => rowSuite(open, kvLayout))
      describe(`states, ${kvLayout} layout`, () => stateSuite(open, kvLayout))
      describe(`calls, ${kvLayout} layout`, () => callSuite(open, kvLayout))
    }
    describe('trees', () => treeSuite(open))
    describe('text', () => textSuite(open))
    describe('limits', () => limitSuite(open))
    describe('capabilities', () => capabilitySuite(open))
    describe('life', () => lifeSuite(open))
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
    ['more tokens than a slot has cells', [span(0, 0, Array<number>(257).fill(1), 1)]],
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
    await inChunks(runner, Array<number>(256).fill(300), 128)
    await expect(runner.decode([span(0, 256, [300], 1)])).rejects.toMatchObject({ name: 'AssertionError' })
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
    await using runner = await open({ slots: 4, contextTokensMax: 256, kvLayout: 'unified', cellsMax: 256 })
    const tokens = Array<number>(100).fill(300)
    expect(await runner.decode([span(0, 0, tokens, 1), span(1, 0, tokens, 1)])).toMatchObject({ kind: 'decoded' })
    expect(await runner.decode([span(2, 0, tokens, 1)])).toEqual({ kind: 'no-cells' })
    expect(await runner.decode([span(0, 100, [301], 1), span(2, 0, tokens, 1)])).toEqual({ kind: 'no-cells' })
    expect(await runner.decode([span(0, 100, [301], 1)])).toMatchObject({ kind: 'decoded' })
    runner.truncate(1, 0)
    expect(await runner.decode([span(2, 0, tokens, 1)])).toMatchObject({ kind: 'decoded' })
  })

  test('embeddings have length 1, are the same each time, and tell texts apart', async () => {
    await using runner = await open(usual)
    expect(runner.info.capabilities.embeddings).toBe(true)
    const texts = ['the day is long', 'the day is very long', 'a number of people write'].map((text) =>
      runner.tokenize(text, { parseSpecial: false, addBegin: true }),
    )
    const long = Array.from({ length: 150 }, (_, i) => texts[2]?.[i % 4] ?? 0)
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
    const running = runner.decode([span(0, 0, Array<number>(240).fill(300), 1)])
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
