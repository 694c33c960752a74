/**
 * Is a new status worth a write? What a person or a controller acts on is written at once; figures and progress now and then.
 * Pure. An operator whose pairs just serve must not write at all.
 */
import { limits } from '#contracts/limits.ts'
import type { ModelDeploymentStatus } from '#contracts/resources/modelDeployment.ts'
import { canonicalJson } from '../../core/revision.ts'

const { cluster } = limits
/** Figures that moved less than this are the same for whoever reads a status; metrics have the rest. */
const figureShareMin = 0.1

export type StatusWorth =
  | { readonly kind: 'now' }
  | { readonly kind: 'same' }
  /** Only after this long since the last write. */
  | { readonly kind: 'later'; readonly intervalMs: number }

export function worthOf(before: ModelDeploymentStatus | null, next: ModelDeploymentStatus): StatusWorth {
  if (before === null || canonicalJson(essence(before)) !== canonicalJson(essence(next))) return { kind: 'now' }
  if (canonicalJson(messages(before)) !== canonicalJson(messages(next)))
    return { kind: 'later', intervalMs: cluster.progressIntervalMs }
  if (figuresMoved(before.measured, next.measured)) return { kind: 'later', intervalMs: cluster.statusIntervalMs }
  return { kind: 'same' }
}

function essence({ measured, conditions, ...rest }: ModelDeploymentStatus) {
  const plain = conditions.map(({ message: _message, lastTransitionTime: _time, ...condition }) => condition)
  // Not how fast, but that a first worker has reported at all: whoever has just seen `Ready` looks for it.
  const isMeasured = measured.meanAcceptanceLength !== undefined
  return { ...rest, conditions: plain, isMeasured }
}

const messages = ({ conditions }: ModelDeploymentStatus) => conditions.map(({ type, message }) => [type, message])

type Figures = ModelDeploymentStatus['measured']

function figuresMoved(before: Figures, next: Figures): boolean {
  const names = new Set([...Object.keys(before), ...Object.keys(next)])
  return [...names].some((name) => moved(figure(before, name), figure(next, name)))
}

const figure = (figures: Figures, name: string): number => new Map(Object.entries(figures)).get(name) ?? 0

function moved(a: number, b: number): boolean {
  return Math.abs(a - b) > figureShareMin * Math.max(Math.abs(a), Math.abs(b))
}
