/**
 * The risk of an answer from a published calibration: the harmonizer's chance that the label which the answer gave is wrong. Pure.
 *
 * It says nothing (`null`) rather than something wrong: of an answer without a label, without the embedding that it was trained on, or
 * of an embedding of another width.
 */
import { type Harmonizer, riskOf } from '#algorithms/harmonizer.ts'
import { featuresOf } from '#algorithms/riskFeatures.ts'
import { parametersOf, type RiskCalibration, shapeOf } from '#contracts/riskCalibration.ts'
import type { Votes } from './riskVotes.ts'

/** A calibration as it is asked: its numbers are unpacked once, not for each answer. */
export interface RiskScorer {
  readonly harmonizer: Harmonizer
  readonly embeddingWidth: number
  readonly signals: RiskCalibration['signals']
}

export function scorerOf(document: RiskCalibration): RiskScorer {
  return {
    harmonizer: { shape: shapeOf(document), parameters: parametersOf(document) },
    embeddingWidth: document.embedding.width,
    signals: document.signals,
  }
}

/** `embedding` null: nobody gave one. */
export function riskScore(
  { harmonizer, embeddingWidth, signals }: RiskScorer,
  embedding: ArrayLike<number> | null,
  { ownLabel, signals: measured }: Pick<Votes, 'ownLabel' | 'signals'>,
): number | null {
  if (ownLabel === null) return null
  const vector = embeddingWidth === 0 ? [] : embedding
  if (vector === null || vector.length !== embeddingWidth) return null
  const features = featuresOf(
    vector,
    signals.map(({ name }) => measured[name]),
    signals,
  )
  const risk = riskOf(harmonizer, features, ownLabel)
  return Number.isFinite(risk) ? risk : null
}
