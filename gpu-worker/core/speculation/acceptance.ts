/**
 * How likely draft tokens are taken: by method, by depth, by the proposer's confidence, and by sequence.
 *
 * What all sequences of a method share is learned slowly (rates by depth, and by confidence and depth together); each sequence has
 * one shift against that, learned fast. A sequence starts like the average, the average starts optimistic. Only what was verified
 * counts: a token behind a rejected one, or behind the end of the verified ones, was not tried. Where few of the proposed tokens were
 * verified because their confidence was low, the rate by depth would be that of confident tokens only; so a proposed token that was
 * reached and cut off counts by depth with its expected outcome.
 */
import type { ProposerMethod } from './proposer.ts'
import { Rate, Shift, shifted } from './rates.ts'

/** What is believed of a method that nobody has tried. */
const optimism = { prior: 0.8, priorTrials: 8 }
const sharedTrials = 256
const nothing = { prior: 0, priorTrials: 0, windowTrials: sharedTrials }
/** Trials after which a depth or a confidence counts by itself. */
const shrinkTrials = 12
/** What a confidence is believed to mean before it was tried: no less than halfway to what is believed of the method. */
const confidenceTrials = 4
const believed = (confidence: number) => Math.max(confidence, (confidence + optimism.prior) / 2)
const hitTrials = 6
const confidenceBins = 10
const spreadRate = 0.05

/** Depths that are alike: 1, 2, 3, 4, 5–6, 7–8, 9–12, 13–16, more. */
const bandEnds = [1, 2, 3, 4, 6, 8, 12, 16, Number.POSITIVE_INFINITY]
const bandOf = (depth: number) => bandEnds.findIndex((end) => depth <= end)
const bands = Array.from({ length: 65 }, (_, depth) => bandOf(Math.max(1, depth)))

/** One node that was tried: its parent was taken, and it was verified. */
export interface Trial {
  readonly depth: number
  readonly confidence: number
  readonly taken: boolean
  /** A second guess for the same place: it says what its confidence is worth, and nothing of how far first guesses reach. */
  readonly isAlternative?: boolean
}

/** What became of one ask. */
export interface AskOutcome {
  readonly method: ProposerMethod
  readonly key: number
  readonly askedDepth: number
  /** Longest path of the proposal; 0: nothing came. */
  readonly proposedDepth: number
  /** That its first token is taken; 0: nothing came. */
  readonly firstChance: number
}

interface SequenceRecord {
  readonly shift: Shift
  readonly hits: Rate
}

interface MethodRecord {
  readonly all: Rate
  readonly byDepth: readonly Rate[]
  readonly byConfidence: readonly Rate[]
  readonly byBoth: readonly (readonly Rate[])[]
  /** Did a proposal reach this depth, where it was asked for? */
  readonly reach: readonly Rate[]
  /** Of the chance of first tokens: mean, and mean distance from it. */
  readonly first: { mean: number; spread: number }
  readonly sequences: Map<number, SequenceRecord>
}

export class Acceptance {
  readonly #methods = new Map<ProposerMethod, MethodRecord>()

  /**
   * Tokens that each further draft token is expected to gain when the method is asked for `length` of them: the chance that it is
   * proposed, and it and all before it are taken.
   */
  expectedGains(method: ProposerMethod, key: number, length: number): number[] {
    const record = this.#of(method)
    const own = record.sequences.get(key)
    const shift = own?.shift.value ?? 0
    const reachFirst = reachOf(record, 1)
    const hits = own?.hits.shrunk(reachFirst, hitTrials) ?? reachFirst
    const gains: number[] = []
    let taken = 1
    for (let depth = 1; depth <= length; depth++) {
      taken *= shifted(rateAt(record, depth), shift)
      gains.push(taken * hits * Math.min(1, reachOf(record, depth) / reachFirst))
    }
    return gains
  }

  /** The chance that a node is taken once its parent is, before anything is known of the sequence. */
  sharedChance(method: ProposerMethod, node: { readonly depth: number; readonly confidence: number }): number {
    return chanceOf(this.#of(method), node)
  }

  /** On the scale of log odds; 0 for a sequence that is like the average. */
  shiftOf(method: ProposerMethod, key: number): number {
    return this.#of(method).sequences.get(key)?.shift.value ?? 0
  }

  /** Trials that a sequence has behind it, the faded ones not counted. */
  trialsOf(method: ProposerMethod, key: number): number {
    return this.#of(method).sequences.get(key)?.shift.trials ?? 0
  }

  /** How much proposals say of themselves: 0 where each is as good as the next. */
  spreadOf(method: ProposerMethod): number {
    return this.#of(method).first.spread
  }

  asked({ method, key, askedDepth, proposedDepth, firstChance }: AskOutcome): void {
    const record = this.#of(method)
    const { first } = record
    first.mean += spreadRate * (firstChance - first.mean)
    first.spread += spreadRate * (Math.abs(firstChance - first.mean) - first.spread)
    this.#sequence(record, key).hits.observe(proposedDepth > 0 ? 1 : 0)
    // A proposal of none says nothing of how far others reach beyond their first token.
    const seen = proposedDepth === 0 ? 1 : askedDepth
    for (let band = 0; band <= (bands[Math.min(seen, 64)] ?? 0); band++)
      record.reach[band]?.observe(proposedDepth >= startOf(band) ? 1 : 0)
  }

  tried(method: ProposerMethod, key: number, trial: Trial): void {
    const record = this.#of(method)
    const success = trial.taken ? 1 : 0
    const expected = chanceOf(record, trial)
    this.#sequence(record, key).shift.observe({ success, expected })
    const bin = binOf(trial.confidence)
    if (trial.isAlternative !== true) {
      record.all.observe(success)
      byDepth(record, trial.depth)?.observe(success)
    }
    record.byConfidence[bin]?.observe(success)
    record.byBoth[bin]?.[bands[Math.min(trial.depth, 64)] ?? 0]?.observe(success)
  }

  /** A node was proposed and reached, but cut off: it counts by depth as what it was expected to be. */
  cutOff(method: ProposerMethod, node: { readonly depth: number; readonly confidence: number }): void {
    const record = this.#of(method)
    const expected = chanceOf(record, node)
    record.all.observe(expected)
    byDepth(record, node.depth)?.observe(expected)
  }

  /** A tree of which only the path's length is known: its depths have chances, its nodes have not. */
  reachedDepth(method: ProposerMethod, outcome: { readonly accepted: number; readonly depth: number }): void {
    const record = this.#of(method)
    for (let depth = 1; depth <= Math.min(outcome.accepted + 1, outcome.depth); depth++) {
      record.all.observe(depth <= outcome.accepted ? 1 : 0)
      byDepth(record, depth)?.observe(depth <= outcome.accepted ? 1 : 0)
    }
  }

  forget(key: number): void {
    for (const { sequences } of this.#methods.values()) sequences.delete(key)
  }

  #of(method: ProposerMethod): MethodRecord {
    const known = this.#methods.get(method)
    if (known !== undefined) return known
    const record = newRecord()
    this.#methods.set(method, record)
    return record
  }

  #sequence(record: MethodRecord, key: number): SequenceRecord {
    const known = record.sequences.get(key)
    if (known !== undefined) return known
    const sequence = { shift: new Shift(), hits: new Rate({ ...nothing, windowTrials: 32 }) }
    record.sequences.set(key, sequence)
    return sequence
  }
}

function newRecord(): MethodRecord {
  const perBand = () => bandEnds.map(() => new Rate(nothing))
  const confidences = Array.from({ length: confidenceBins }, (_, bin) => (bin + 0.5) / confidenceBins)
  return {
    all: new Rate({ ...optimism, windowTrials: sharedTrials }),
    byDepth: perBand(),
    byConfidence: confidences.map(
      (confidence) =>
        new Rate({ prior: believed(confidence), priorTrials: confidenceTrials, windowTrials: sharedTrials }),
    ),
    byBoth: confidences.map(perBand),
    reach: perBand(),
    first: { mean: optimism.prior, spread: 0 },
    sequences: new Map(),
  }
}

function chanceOf(record: MethodRecord, node: { readonly depth: number; readonly confidence: number }): number {
  const bin = binOf(node.confidence)
  const shared = record.byConfidence[bin]?.value ?? node.confidence
  return record.byBoth[bin]?.[bands[Math.min(node.depth, 64)] ?? 0]?.shrunk(shared, shrinkTrials) ?? shared
}

const rateAt = (record: MethodRecord, depth: number) =>
  byDepth(record, depth)?.shrunk(record.all.value, shrinkTrials) ?? record.all.value

/** Proposals are believed to be complete until they are not. */
const reachOf = (record: MethodRecord, depth: number) =>
  record.reach[bands[Math.min(depth, 64)] ?? 0]?.shrunk(1, 2) ?? 1

const byDepth = (record: MethodRecord, depth: number) => record.byDepth[bands[Math.min(depth, 64)] ?? 0]
const binOf = (confidence: number) => Math.min(confidenceBins - 1, Math.max(0, Math.floor(confidence * confidenceBins)))
const startOf = (band: number) => (bandEnds[band - 1] ?? 0) + 1
