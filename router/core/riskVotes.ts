/**
 * What a route's sources say of one answer: each comes to yes, no or nothing, and votes for a label or abstains. Beside the votes, the
 * signals: what was measured of the answer and goes into the harmonizer as a number.
 *
 * What was not measured (a check that was late, samples that failed) is an abstention, never a vote. Pure.
 */
import type { RiskSignal } from '#contracts/riskCalibration.ts'
import { labelNames, type RiskPolicy } from '#contracts/riskPolicy.ts'
import { lastNumber } from './arithmetic.ts'
import type { Check, Checked, Texts } from './riskChecks.ts'

export type Source = RiskPolicy['sources'][number]
type Labels = RiskPolicy['labels']

/** Of one answer, whatever could be found out; null: it could not. */
export interface Findings {
  readonly texts: Texts
  /** Of `checksOf`, in its order. */
  readonly checked: readonly Checked[]
  readonly logProbabilities: readonly number[] | null
  /** What the model said when it was asked again. */
  readonly samples: readonly string[] | null
  /** For each of the samples, the place of each label; empty without labels. */
  readonly sampleLabels: readonly (number | null)[]
  /** Meta Ranking's score. */
  readonly ranking: number | null
}

export interface Votes {
  /** Of each source: a label's number; null: it abstains. */
  readonly votes: readonly (number | null)[]
  /** The label of the answer itself; null: it gave none. */
  readonly ownLabel: number | null
  readonly signals: Readonly<Record<RiskSignal, number | null>>
}

/** What is asked of the thread that checks: an expression for each label first, then the sources' own. */
export function checksOf({ labels, sources }: Pick<RiskPolicy, 'labels' | 'sources'>): Check[] {
  return [...labelChecks(labels), ...sources.flatMap((source) => checkOf(source) ?? [])]
}

export const labelChecks = (labels: Labels): Check[] =>
  labels.map(({ pattern }) => ({ kind: 'expression', of: 'answer', pattern, ignoreCase: true }))

/** The label that is found first; null: none is, or that is not known. */
export function firstLabel(places: readonly Checked[]): number | null {
  if (places.includes(null)) return null
  return places.reduce<number | null>((best, place, label) => {
    if (place === null || place < 0) return best
    const before = best === null ? null : (places[best] ?? null)
    return before === null || place < before ? label : best
  }, null)
}

export function votesOf(policy: Pick<RiskPolicy, 'labels' | 'sources'>, findings: Findings): Votes {
  const { labels, sources } = policy
  const ownLabel = labels.length === 0 ? 0 : firstLabel(findings.checked.slice(0, labels.length))
  const names = labelNames(labels)
  const checked = findings.checked.slice(labels.length).values()
  const votes = sources.map((source) => {
    const place = checkOf(source) === null ? null : (checked.next().value ?? null)
    return voteOf(source, { findings, place, ownLabel, names })
  })
  return { votes, ownLabel, signals: signalsOf(sources, findings, ownLabel) }
}

interface Known {
  readonly findings: Findings
  /** Of a source that was checked. */
  readonly place: Checked
  readonly ownLabel: number | null
  readonly names: readonly string[]
}

function voteOf(source: Source, known: Known): number | null {
  const { findings, place, ownLabel } = known
  const kind = source.expression ?? source.validator ?? source.jsonSchema
  if (kind !== undefined) return labelled(kind, place === null ? null : place >= 0, known)
  const { length, logProbability, selfConsistency, metaRanking, ownLabel: own } = source
  if (length !== undefined) return labelled(length, isLongEnough(length, findings.texts), known)
  if (logProbability !== undefined) {
    const mean = meanOf(findings.logProbabilities)
    return labelled(logProbability, mean === null ? null : mean >= logProbability.meanMin, known)
  }
  if (selfConsistency !== undefined) {
    // A classification has a better vote than yes or no: what the samples say most.
    if (findings.sampleLabels.length > 0) return mostSaid(findings.sampleLabels)
    const share = agreementOf(selfConsistency, findings, ownLabel)
    return labelled(selfConsistency, share === null ? null : share >= selfConsistency.agreeMin, known)
  }
  if (metaRanking !== undefined)
    return labelled(metaRanking, findings.ranking === null ? null : findings.ranking > metaRanking.scoreMin, known)
  return own === undefined ? null : ownLabel
}

/** From yes or no to a label. `wrong` names none where there are more than two. */
function labelled(
  { yes, no }: { readonly yes: string; readonly no: string },
  holds: boolean | null,
  { ownLabel, names }: Known,
): number | null {
  if (holds === null) return null
  const vote = holds ? yes : no
  const named = names.indexOf(vote)
  if (named >= 0 && vote !== 'right' && vote !== 'wrong') return named
  if (vote === 'right') return ownLabel
  if (vote !== 'wrong' || ownLabel === null || names.length !== 2) return null
  return 1 - ownLabel
}

function isLongEnough(length: NonNullable<Source['length']>, texts: Texts): boolean {
  const characters = texts[length.of].trim().length
  return characters >= length.charactersMin && characters <= length.charactersMax
}

function signalsOf(sources: readonly Source[], findings: Findings, ownLabel: number | null): Votes['signals'] {
  const { logProbabilities, ranking, texts } = findings
  const consistency = sources.find(({ selfConsistency }) => selfConsistency !== undefined)?.selfConsistency
  return {
    meanLogProbability: meanOf(logProbabilities),
    leastLogProbability: logProbabilities === null || logProbabilities.length === 0 ? null : least(logProbabilities),
    answerCharactersLog: Math.log1p(texts.answer.length),
    agreement: consistency === undefined ? null : agreementOf(consistency, findings, ownLabel),
    ranking,
  }
}

function agreementOf(
  { compare }: NonNullable<Source['selfConsistency']>,
  { samples, sampleLabels, texts }: Findings,
  ownLabel: number | null,
): number | null {
  if (samples === null || samples.length === 0) return null
  const agrees = (sample: string, i: number) => {
    if (sampleLabels.length > 0) return ownLabel !== null && sampleLabels[i] === ownLabel
    if (compare === 'text') return folded(sample) === folded(texts.answer)
    const number = lastNumber(sample)
    return number !== null && number === lastNumber(texts.answer)
  }
  return samples.filter(agrees).length / samples.length
}

/** Case, spaces and punctuation do not make another answer. */
function folded(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[\p{P}\s]+/gu, ' ')
    .trim()
}

/** Null: none of them says a label. Of two that are said as often, the one that was said first. */
function mostSaid(labels: readonly (number | null)[]): number | null {
  const said = labels.filter((label) => label !== null)
  const times = (label: number) => said.filter((each) => each === label).length
  return said.reduce<number | null>((best, label) => (best === null || times(label) > times(best) ? label : best), null)
}

function checkOf({ expression, validator, jsonSchema }: Source): Check | null {
  if (expression !== undefined) {
    const { of, pattern, ignoreCase } = expression
    return { kind: 'expression', of, pattern, ignoreCase }
  }
  if (validator !== undefined) return { kind: 'validator', of: validator.of, check: validator.check }
  return jsonSchema === undefined ? null : { kind: 'jsonSchema', schema: jsonSchema.schema }
}

function meanOf(values: readonly number[] | null): number | null {
  return values === null || values.length === 0 ? null : values.reduce((sum, each) => sum + each, 0) / values.length
}

const least = (values: readonly number[]) => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)
