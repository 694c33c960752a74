/**
 * What a pre-gate sees of a prompt: its first tokens, two neighbours, and three, each hashed into one of so many buckets.
 *
 * A pure function of token ids. Only the first `tokensMax` tokens count, so requests that begin alike get the same features however
 * they go on. Features have length one together: a long prompt is no surer of anything than a short one.
 */

/** What decides which features a prompt has; kept with the weights, which mean nothing under another form. */
export interface FeatureForm {
  /** A power of two. */
  readonly buckets: number
  /** Longest run of tokens that is a feature. */
  readonly gramMax: number
  readonly tokensMax: number
}

export interface Features {
  /** Ascending, each once. */
  readonly buckets: Uint32Array
  readonly values: Float64Array
}

export function featuresOf(tokens: readonly number[], form: FeatureForm): Features {
  const counts = new Map<number, number>()
  const seen = tokens.slice(0, form.tokensMax)
  for (let from = 0; from < seen.length; from++) {
    let hash = seedOfGrams
    for (let length = 1; length <= form.gramMax && from + length <= seen.length; length++) {
      hash = mixed(hash, seen[from + length - 1] ?? 0)
      const bucket = finished(hash, length) & (form.buckets - 1)
      counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
    }
  }
  return ofLengthOne(counts)
}

/** How often something is said matters less each time. */
function ofLengthOne(counts: ReadonlyMap<number, number>): Features {
  const buckets = Uint32Array.from(counts.keys()).sort()
  const values = Float64Array.from(buckets, (bucket) => Math.sqrt(counts.get(bucket) ?? 0))
  const length = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0))
  return { buckets, values: values.map((value) => value / length) }
}

const seedOfGrams = 0x9e37_79b9

function mixed(hash: number, token: number): number {
  const turned = Math.imul(hash ^ token, 0x85eb_ca6b)
  return turned ^ (turned >>> 13)
}

/** The length takes part: a run of tokens is another feature than its hash would be as a single one. */
function finished(hash: number, length: number): number {
  const turned = Math.imul(hash ^ Math.imul(length, 0xc2b2_ae35), 0x27d4_eb2f)
  return (turned ^ (turned >>> 15)) >>> 0
}
