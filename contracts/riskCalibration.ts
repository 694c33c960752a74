/**
 * What `paceline calibrate risk` writes, people keep in a ConfigMap (key `risk.json`) and the operator publishes to routers: a harmonizer,
 * what it reads, and what it was found to be worth.
 *
 * A harmonizer speaks of the answers of one model as another model's vectors show them: both are named by their files' SHA-256, and for
 * any other it says nothing. The order of what it reads: the embedding, then `signals`. Its numbers are 32 bit wide, so that one of a
 * hundred hidden units over 576 dimensions fits into a route's record, which is one message.
 */
import * as z from 'zod'
import { limits } from './limits.ts'
import { unpackedNumbers } from './packedNumbers.ts'

const { risk } = limits

/** What a router measures of an answer beside its embedding; `null` where it could not, and then the mean is read. */
export const riskSignals = [
  'meanLogProbability',
  'leastLogProbability',
  'answerCharactersLog',
  'agreement',
  'ranking',
] as const
export type RiskSignal = (typeof riskSignals)[number]

/** SHA-256 of a model's file, or `simulated` for an engine that only plays one. */
export const ModelDigest = z.string().regex(/^([0-9a-f]{64}|simulated)$/, 'a SHA-256 in lower-case hex')
export type ModelDigest = z.infer<typeof ModelDigest>

const Label = z.string().min(1).max(63)
const Share = z.number().min(0).max(1)

export const RiskCalibration = z
  .strictObject({
    kind: z.literal('RiskCalibration'),
    version: z.literal(1),
    /** Whose answers. */
    model: ModelDigest,
    /** Whose vectors, and how wide they are; width 0: none are read. */
    embedding: z.strictObject({ model: ModelDigest, width: z.int().min(0).max(risk.embeddingWidthMax) }),
    /** Read as (value - mean) / scale. */
    signals: z.array(z.strictObject({ name: z.enum(riskSignals), mean: z.number(), scale: z.number().gt(0) })),
    labels: z.array(Label).min(2).max(risk.labelsMax),
    /** Those that voted while it was trained. */
    sources: z.array(Label).min(1).max(risk.sourcesMax),
    hidden: z.int().min(0).max(1_024),
    /** Little-endian 32-bit floats in base64, in the harmonizer's own order. */
    parameters: z.base64().max(Math.ceil((risk.parametersMax * 4) / 3) * 4),
    scalariser: z.enum(['linear', 'quadratic', 'euclidean', 'chebyshev']),
    trained: z.strictObject({ examples: z.int().min(1), epochs: z.int().min(1) }),
    /** On answers of which somebody said whether they are right; null where nobody did. */
    measured: z
      .strictObject({
        labelled: z.int().min(1),
        errorRate: Share,
        calibrationError: Share,
        /** R² of risk against error by bins of rank; null where every bin errs alike. */
        determination: z.number().nullable(),
      })
      .nullable(),
  })
  .refine((document) => parametersOf(document).length === countOf(document), {
    message:
      'not as many parameters as its shape has: it was cut off or edited; write it again with `paceline calibrate risk`',
    path: ['parameters'],
  })
  .refine((document) => parametersOf(document).every(Number.isFinite), {
    message: 'parameters that are no numbers; write it again with `paceline calibrate risk`',
    path: ['parameters'],
  })
export type RiskCalibration = z.infer<typeof RiskCalibration>

export const parametersOf = ({ parameters }: { readonly parameters: string }) => unpackedNumbers(parameters)

interface Shaped {
  readonly embedding: { readonly width: number }
  readonly signals: readonly unknown[]
  readonly labels: readonly unknown[]
  readonly hidden: number
}

/** In the words of `algorithms/harmonizer.ts`. */
export function shapeOf({ embedding, signals, labels, hidden }: Shaped) {
  return { features: embedding.width + signals.length, classes: labels.length, hidden }
}

function countOf(document: Shaped): number {
  const { features, classes, hidden } = shapeOf(document)
  return hidden === 0 ? classes * (features + 1) : hidden * (features + 1) + classes * (hidden + 1)
}
