/**
 * What `paceline calibrate cascade` writes, people keep in a ConfigMap and the operator publishes to routers: the references that a judge
 * compares answers with, and the threshold that was proved on labelled traffic, with what it was proved for.
 *
 * A ConfigMap of kind `calibration` (label `paceline.dev/kind`) has two keys: `references.jsonl`, one reference per line, and
 * `cascade.json`, the calibration. A threshold is one of the score of *these* references by *this* judge: the digest of the references
 * stands in the calibration, and whoever edits them calibrates anew. Sizes are bounded so that a route's record fits into one message.
 */
import { hash } from 'node:crypto'
import * as z from 'zod'
import { limits } from './limits.ts'

const { calibration } = limits

/** Value of the label `paceline.dev/kind` by which the operator finds these ConfigMaps. */
export const calibrationKind = 'calibration'
export const calibrationKeys = { references: 'references.jsonl', cascade: 'cascade.json', risk: 'risk.json' } as const

export const CascadeReference = z.strictObject({
  question: z.string().min(1).max(calibration.textCharactersMax),
  /** Empty: nothing was answered, which is an answer too. */
  answer: z.string().max(calibration.textCharactersMax),
  correct: z.boolean(),
})
export type CascadeReference = z.infer<typeof CascadeReference>

/** A law over the labels; each over 0, since laws are divided by it. */
const LabelLaw = z.strictObject({ a: z.number().gt(0), b: z.number().gt(0), alike: z.number().gt(0) })

/** What the judge says of empty pairs, by what stood first. */
export const JudgePrior = z.strictObject({ answerFirst: LabelLaw, referenceFirst: LabelLaw })
export type JudgePrior = z.infer<typeof JudgePrior>

const Share = z.number().min(0).max(1)
export const ShareInterval = z.strictObject({ lower: Share, upper: Share })
export type ShareInterval = z.infer<typeof ShareInterval>

const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in lower-case hex')
/** Scores lie from -1 to 1 and must be over the threshold: -2 keeps everything that was judged. */
const Threshold = z.number().min(-2).max(1)

export const CascadeCalibration = z.strictObject({
  kind: z.literal('CascadeCalibration'),
  version: z.literal(1),
  /** Whose answers were judged, and by whom; names of ModelDeployments. */
  step: z.string().min(1).max(63),
  judge: z.string().min(1).max(63),
  /** Absent: nobody asked the judge, and every label counts as likely. */
  prior: JudgePrior.optional(),
  /** Null: no threshold was proved, and nothing may be kept. */
  threshold: Threshold.nullable(),
  /** What was proved: with chance `confidence` over the labels, at most this share of kept answers is wrong. */
  errorRateMax: z.number().gt(0).lt(1),
  confidence: z.number().gt(0).lt(1),
  labels: z.strictObject({ counted: z.int().min(0), wrong: z.int().min(0) }),
  /** Of the labels, what the threshold keeps. */
  kept: z.strictObject({ counted: z.int().min(0), wrong: z.int().min(0), share: Share, shareInterval: ShareInterval }),
  /** Where the error rate of what is kept lies; null without a threshold. */
  errorRate: ShareInterval.nullable(),
  /** Null: answers were judged as a whole; else after so many tokens, for routes that stream early. */
  judgedTokens: z.int().positive().nullable(),
  madeFrom: z.strictObject({
    references: Sha256,
    labels: Sha256,
    /** Of the files that answered and judged, where they are known. */
    stepModel: Sha256.optional(),
    judgeModel: Sha256.optional(),
  }),
})
export type CascadeCalibration = z.infer<typeof CascadeCalibration>

/** Tells one calibration from another: labels speak of the one that kept the answer. Whatever the document's layout is. */
export const calibrationDigest = (calibration: CascadeCalibration) => hash('sha256', JSON.stringify(calibration))

/** Of what a reference says, however its line is written. */
export function referencesDigest(references: readonly CascadeReference[]): string {
  const lines = references.map(({ question, answer, correct }) => JSON.stringify([question, answer, correct]))
  return hash('sha256', lines.join('\n'))
}

/**
 * What routers know of a step's acceptance. `none`: nothing may be kept; `reason` for people is in the route's status.
 */
export const CascadeGuarantee = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('holds'),
    /** `calibrationDigest` of the document: stands in every label of an answer that it kept. */
    calibration: Sha256,
    threshold: Threshold,
    errorRateMax: z.number().gt(0).lt(1),
    confidence: z.number().gt(0).lt(1),
    /** Files of which it speaks, where they are known: while a rollout runs a deployment still serves another one. */
    models: z.object({ step: Sha256.optional(), judge: Sha256.optional() }),
  }),
  z.object({
    kind: z.literal('none'),
    /**
     * `no-references`, `no-calibration`: missing or not understood. `stale`: made for other references, another judge, model, promise or
     * way of streaming. `nothing-proved`: the labels prove no threshold. `broken`: newer labels speak against it.
     */
    reason: z.enum(['no-references', 'no-calibration', 'stale', 'nothing-proved', 'broken']),
  }),
])
export type CascadeGuarantee = z.infer<typeof CascadeGuarantee>
