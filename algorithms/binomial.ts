/**
 * Exact binomial tails and the Clopper–Pearson interval: what can be said of a rate after a few labels, without any approximation.
 *
 * The distribution function is a regularised incomplete beta function, evaluated by its continued fraction (Lentz), which needs tens of
 * steps however many labels there are. Pure; relative errors about 1e-13.
 */
import assert from 'node:assert/strict'

export interface Counted {
  readonly wrong: number
  readonly labels: number
}

export interface Interval {
  readonly lower: number
  readonly upper: number
}

/** P(at most `wrong` of `labels` are wrong) where each is with chance `rate`. */
export function binomialAtMost({ wrong, labels }: Counted, rate: number): number {
  assert(Number.isInteger(wrong) && Number.isInteger(labels) && wrong >= 0 && wrong <= labels, 'a count out of a count')
  if (wrong === labels) return 1
  return betaShare(1 - rate, labels - wrong, wrong + 1)
}

/** The largest rate that `counted` does not speak against: above it so few wrong ones would come with a chance of at most `doubt`. */
export function rateUpper(counted: Counted, doubt: number): number {
  if (counted.wrong === counted.labels) return 1
  return bisect((rate) => binomialAtMost(counted, rate) > doubt)
}

/** The smallest rate that `counted` does not speak against. */
export function rateLower(counted: Counted, doubt: number): number {
  if (counted.wrong === 0) return 0
  // At least `wrong`: one minus at most one fewer.
  const fewer = { ...counted, wrong: counted.wrong - 1 }
  return bisect((rate) => 1 - binomialAtMost(fewer, rate) < doubt)
}

/** Two-sided: covers the true rate with a chance of at least `confidence`, whatever it is. */
export function clopperPearson(counted: Counted, confidence: number): Interval {
  const doubt = (1 - confidence) / 2
  return { lower: rateLower(counted, doubt), upper: rateUpper(counted, doubt) }
}

/** I_x(a, b): the share of a Beta(a, b) law below x. */
export function betaShare(x: number, a: number, b: number): number {
  if (x <= 0) return 0
  if (x >= 1) return 1
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x))
  // The fraction converges fast on this side of the mean; the other side is the mirror image.
  if (x < (a + 1) / (a + b + 2)) return (front * betaFraction(x, a, b)) / a
  return 1 - (front * betaFraction(1 - x, b, a)) / b
}

const stepsMax = 2_000
const precision = 1e-15
const tiny = 1e-300

function betaFraction(x: number, a: number, b: number): number {
  let c = 1
  let d = 1 / awayFromZero(1 - ((a + b) * x) / (a + 1))
  let value = d
  for (let m = 1; m <= stepsMax; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / awayFromZero(1 + even * d)
    c = awayFromZero(1 + even / c)
    value *= d * c
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / awayFromZero(1 + odd * d)
    c = awayFromZero(1 + odd / c)
    const change = d * c
    value *= change
    if (Math.abs(change - 1) < precision) break
  }
  return value
}

const awayFromZero = (value: number) => (Math.abs(value) < tiny ? tiny : value)

/** Lanczos' approximation with g = 7, nine terms; for values over 0. */
const lanczos = [
  0.999_999_999_999_809_93, 676.520_368_121_885_1, -1_259.139_216_722_402_8, 771.323_428_777_653_13,
  -176.615_029_162_140_59, 12.507_343_278_686_905, -0.138_571_095_265_720_12, 9.984_369_578_019_571_6e-6,
  1.505_632_735_149_311_6e-7,
] as const

export function logGamma(value: number): number {
  const at = value - 1
  let sum: number = lanczos[0]
  lanczos.slice(1).forEach((term, i) => {
    sum += term / (at + i + 1)
  })
  const shifted = at + 7.5
  return 0.5 * Math.log(2 * Math.PI) + (at + 0.5) * Math.log(shifted) - shifted + Math.log(sum)
}

/** Where `isBelow` stops being true between 0 and 1. */
function bisect(isBelow: (rate: number) => boolean): number {
  let low = 0
  let high = 1
  while (high - low > 1e-15 * Math.max(high, 1e-3)) {
    const middle = (low + high) / 2
    if (middle <= low || middle >= high) break
    if (isBelow(middle)) low = middle
    else high = middle
  }
  return (low + high) / 2
}
