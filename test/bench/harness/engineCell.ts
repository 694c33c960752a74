/**
 * One cell of the speculation table on a real engine: so many streams of texts that the target wrote before, one acceptance, and every
 * way to choose lengths in turn, round by round on the same texts and the same luck.
 *
 * Every round of a side has a fresh worker, but the goodput side keeps its controller and its cost curve through the whole cell. The first
 * round warms it up and is not counted; lengths that fall far behind in it are not tried again.
 */
import type { CostCurveMessage, Dispatch } from '#contracts/messages.ts'
import { samplingDefaults } from '#contracts/sampling.ts'
import { curveOf } from '#test/simulate/curves.ts'
import { predictStepMs } from '#algorithms/costCurve.ts'
import type { SpeculationController } from '../../../gpu-worker/core/speculation/controller.ts'
import { createController } from '../../../gpu-worker/core/speculation/createController.ts'
import { bestLength } from '../../../gpu-worker/core/speculation/expectedLength.ts'
import type { ShapeCostsOptions } from '../../../gpu-worker/core/speculation/shapes.ts'
import type { ModelRunner } from '../../../gpu-worker/modelRunner.ts'
import { type Answer, type DraftingOptions, EngineStand } from '../../behaviour/engineStand.ts'
import { storeOf } from './calibratedCurve.ts'
import type { CellKey, CellSpeeds } from './cellResults.ts'
import { DecodeWindow, steadyMs, type WindowPace } from './decodeWindow.ts'
import { createOracleProposer, type IsRight, rightAtRate, tokensPerStep } from './oracleProposer.ts'
import { watch } from './processes.ts'
import { interleave, noiseMax, type Round, type Side } from './rounds.ts'
import { question } from './prompts.ts'

export const lengthMax = 8
const promptTokens = 6
/** Few streams write longer texts: their luck needs more tokens to even out, and they are soon written. */
const fewStreams = 2
const answerTokensOf = (text: number) => (text < fewStreams ? 240 : 112)
/** Of each stream in a window, so that the fastest of them does not come to the end of its text. */
export const windowTokensMax = (streams: number): number => (streams === 1 ? 228 : streams <= fewStreams ? 96 : 44)
/** Mean context of a stream inside its window. */
export const contextTokens = 48
/** A length this far behind the best of the warm-up round is not tried again. */
const keptShare = 0.85
/** Behind a length this slow no longer one is tried. */
const hopelessShare = 0.6

export interface EngineCellOptions {
  readonly runner: ModelRunner
  readonly texts: readonly (readonly number[])[]
  readonly curve: CostCurveMessage
  /** One stream's step of 1, 2, … rows, in milliseconds. */
  readonly rowsMs: readonly number[]
  readonly lengths: readonly number[]
  readonly rounds: number
  /** Gained in one round of one way. */
  readonly tokensOf: (streams: number) => number
}

export interface MeasuredSpeeds {
  /** With every decode at the median of its shape on that side: what the machine's stalls take is nobody's. */
  readonly steady: CellSpeeds
  /** As it was. */
  readonly wall: CellSpeeds
  /** Rounds of one way that others on the machine disturbed, of how many. */
  readonly noisy: number
  readonly waves: number
  /** Answers that were not the text written before: their proposals were worth nothing. */
  readonly strayed: number
}

interface Wave extends WindowPace {
  readonly strayed: number
}

const ours = 'goodput'
/** Drafting nothing, and the length that must be beaten at many streams, are always compared with. */
const always = [ours, '0', '4']

/** Texts that the target writes greedily, past the end that it would choose. */
export async function writeCellTexts(runner: ModelRunner, count: number): Promise<number[][]> {
  const prompts = Array.from({ length: count }, (_, i) =>
    runner.tokenize(question(31 + i), { parseSpecial: false, addBegin: true }).slice(0, promptTokens),
  )
  await using stand = new EngineStand(runner, { proposers: [] })
  const answers = await stand.ask(prompts.map((prompt, i) => requestOf(prompt, answerTokensOf(i))))
  return prompts.map((prompt, i) => [...prompt, ...(answers[i]?.choices[0]?.tokens ?? [])])
}

function requestOf(prompt: number[], maxTokens: number): Partial<Dispatch> {
  return {
    work: { kind: 'completion', prompt, echo: false },
    sampling: { ...samplingDefaults, seed: 1, temperature: 0, ignoreEos: true, maxTokens },
    deltaIntervalMs: 60_000,
  }
}

export class EngineCells {
  readonly #o: EngineCellOptions
  readonly #window: DecodeWindow

  constructor(options: EngineCellOptions) {
    this.#o = options
    this.#window = new DecodeWindow(options.runner)
  }

  async measure(cell: CellKey): Promise<MeasuredSpeeds> {
    const luck = { isRight: rightAtRate(cell.acceptance, 0) }
    const drafting = this.#drafting(cell, (text, position) => luck.isRight(text, position))
    const adaptive = { ...drafting(null), createController: keptController() }
    const side = (name: string, run: () => Promise<Wave>) => ({
      name,
      run: (round: number) => {
        luck.isRight = rightAtRate(cell.acceptance, 1 + round)
        return watch({}, run)
      },
    })
    const sides = [
      side(ours, () => this.#wave(adaptive, cell)),
      ...this.#o.lengths.map((length) => side(String(length), () => this.#wave(drafting(length), cell))),
    ]
    const warmUp = await this.#warmUp(sides)
    const kept = sides.filter(({ name }) => isKept(name, warmUp))
    const measured = await interleave(
      kept.map((side) => ({ name: side.name, run: (round: number) => side.run(round + 1) })),
      this.#o.rounds,
    )
    const all = [...warmUp.values(), ...measured.values()].flat()
    const speeds = (of: typeof speedsOf): CellSpeeds => ({
      cell,
      ours: of(measured.get(ours)),
      fixed: new Map(this.#o.lengths.map((length) => [length, of(measured.get(String(length)))])),
      bound: cell.streams === 1 ? this.#bound(cell) : null,
    })
    return {
      steady: speeds(steadySpeedsOf),
      wall: speeds(speedsOf),
      noisy: all.filter(({ others }) => others > noiseMax).length,
      waves: all.length,
      strayed: all.reduce((sum, { value }) => sum + value.strayed, 0),
    }
  }

  /** One round; where a length is so slow that longer ones cannot be better, those are left out. */
  async #warmUp(sides: readonly Side<Wave>[]): Promise<Map<string, Round<Wave>[]>> {
    const done = new Map<string, Round<Wave>[]>()
    let best = 0
    let last = 0
    for (const side of sides) {
      if (last < hopelessShare * best && !always.includes(side.name)) continue
      const rounds = [{ ...(await side.run(0)), number: 0 }]
      done.set(side.name, rounds)
      last = speedsOf(rounds)[0] ?? 0
      best = Math.max(best, last)
    }
    return done
  }

  /** `null`: as the goodput controller says. */
  #drafting(cell: CellKey, isRight: IsRight): (length: number | null) => DraftingOptions {
    const { runner, texts, curve } = this.#o
    const stepMs = (rows: number) => predictStepMs(curveOf(curve), { rows, contextTokens })
    const proposer = () =>
      createOracleProposer({
        texts,
        isRight,
        confidence: cell.acceptance,
        vocabularySize: runner.info.vocabularySize,
        spend: ({ sequences, depth }) => spin(depth * cell.draftStepShare * stepMs(sequences)),
      })
    return (length) => ({
      proposers: [proposer()],
      curveStore: storeOf(curve),
      speculation:
        length === null
          ? { method: 'auto', controller: 'goodput', draftTokensMax: lengthMax }
          : { method: length === 0 ? 'off' : 'auto', controller: 'fixed', draftTokensMax: Math.max(1, length) },
    })
  }

  async #wave(drafting: DraftingOptions, { streams }: CellKey): Promise<Wave> {
    await using stand = new EngineStand(this.#o.runner, drafting)
    const texts = this.#o.texts.slice(0, streams)
    const pace = this.#window.next({ streams, promptTokens, tokens: this.#o.tokensOf(streams) })
    const asked = stand.ask(texts.map((text) => requestOf(text.slice(0, promptTokens), text.length - promptTokens)))
    const tooEarly = asked.then((): never => {
      throw new Error('all streams ended before their window did')
    })
    const measured = await Promise.race([pace, tooEarly])
    stand.cancel()
    const strayed = (await asked).filter((answer, i) => !isBeginningOf(texts[i] ?? [], answer)).length
    return { ...measured, strayed }
  }

  /** The best length of all rounds at what its steps cost by the curve, on the luck of each round. */
  #bound({ acceptance, draftStepShare }: CellKey): number[] {
    const { rowsMs, rounds, tokensOf } = this.#o
    const [plainMs = 0] = rowsMs
    const stepMs = (length: number) => (rowsMs[length] ?? 0) + length * draftStepShare * plainMs
    const draws = Array.from({ length: rounds }, (_, round) => ({
      isRight: rightAtRate(acceptance, 2 + round),
      texts: 1,
      start: promptTokens + 1,
      tokens: tokensOf(1),
    }))
    const tokens = (length: number) => draws.reduce((sum, draw) => sum + tokensPerStep(draw, length), 0)
    const { length } = bestLength({ lengthMax, tokens, stepMs })
    return draws.map((draw) => (1_000 * tokensPerStep(draw, length)) / stepMs(length))
  }
}

function isKept(name: string, warmUp: ReadonlyMap<string, readonly Round<Wave>[]>): boolean {
  const best = Math.max(...[...warmUp.values()].flatMap(speedsOf))
  return always.includes(name) || (speedsOf(warmUp.get(name))[0] ?? 0) >= keptShare * best
}

const speedsOf = (rounds: readonly Round<Wave>[] = []) => rounds.map(({ value }) => (1_000 * value.tokens) / value.ms)

function steadySpeedsOf(rounds: readonly Round<Wave>[] = []): number[] {
  const waves = rounds.map(({ value }) => value)
  return steadyMs(waves).map((ms, i) => (1_000 * (waves[i]?.tokens ?? 0)) / ms)
}

function isBeginningOf(text: readonly number[], { choices }: Answer): boolean {
  return (choices[0]?.tokens ?? []).every((token, i) => token === text[promptTokens + i])
}

/** One controller for all workers that ask for one, with the curve of the latest: what it has learned outlives them. */
function keptController(): typeof createController {
  let latest: ShapeCostsOptions
  let controller: SpeculationController | undefined
  return (kind, costs) => {
    latest = costs
    return (controller ??= createController(kind, { layout: costs.layout, curve: () => latest.curve() }))
  }
}

/** Drafting keeps a processor busy; a timer would not, and is too coarse. */
function spin(ms: number): void {
  const until = performance.now() + ms
  while (performance.now() < until);
}
