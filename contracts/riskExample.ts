/**
 * One answer as a router keeps it for calibration, where its route asks for that: a line of JSON in a file of the route. Training reads
 * votes, signals and the embedding; the texts are there only where the route wants them, after its redactions.
 */
import * as z from 'zod'
import { limits } from './limits.ts'
import { ModelDigest, riskSignals } from './riskCalibration.ts'

const { risk } = limits
const Label = z.string().min(1).max(63)

export const RiskExample = z.object({
  kind: z.literal('RiskExample'),
  version: z.literal(1),
  route: Label,
  /** Of the client's request (`x-request-id`): labels are joined by it. */
  request: z.string().min(1).max(128),
  /** Whose answer, and whose embedding; absent: nobody said. */
  model: ModelDigest.optional(),
  embeddingModel: ModelDigest.optional(),
  labels: z.array(Label).min(2).max(risk.labelsMax),
  /** The label that the answer gave; null: none. */
  ownLabel: z.int().min(0).nullable(),
  /** By the source's name; null: it abstained. */
  votes: z.record(Label, z.int().min(0).nullable()),
  signals: z.record(z.enum(riskSignals), z.number().nullable()),
  /** Little-endian 32-bit floats in base64; null: there was none. */
  embedding: z.base64().nullable(),
  /** What the router thought; null: it could not say. */
  risk: z.number().min(0).max(1).nullable(),
  /** What it did. */
  cause: z.string().max(63),
  /** Whether the client got this answer, and no second one or another model's. Absent (from an older router): it counts as not given. */
  isGiven: z.boolean().optional(),
  question: z.string().optional(),
  answer: z.string().optional(),
})
export type RiskExample = z.infer<typeof RiskExample>

/** Whether an answer was right, as somebody found out: a line of JSON beside the examples. */
export const AnswerLabel = z.object({
  request: z.string().min(1).max(128),
  correct: z.boolean(),
  /** Which answer was looked at. `first`: the one in the example; absent: the one that the client got, which may be another one. */
  answer: z.literal('first').optional(),
})
export type AnswerLabel = z.infer<typeof AnswerLabel>
