/**
 * W3C Trace Context: `traceparent` in, `traceresponse` out. Pure.
 *
 * What is not exactly of the form is no context: a trace then begins here, as the standard asks.
 */
export interface TraceContext {
  /** 32 hexadecimal digits, not all of them 0. */
  readonly traceId: string
  /** 16 hexadecimal digits, not all of them 0. */
  readonly spanId: string
  readonly sampled: boolean
}

const form =
  /^(?<version>[0-9a-f]{2})-(?<traceId>[0-9a-f]{32})-(?<spanId>[0-9a-f]{16})-(?<flags>[0-9a-f]{2})(?<more>-.*)?$/

export function parseTraceparent(header: string | undefined): TraceContext | null {
  const { version, traceId, spanId, flags, more } = form.exec(header ?? '')?.groups ?? {}
  if (version === undefined || traceId === undefined || spanId === undefined || flags === undefined) return null
  // Version 255 is forbidden; the known one has nothing behind its flags; later ones may.
  if (version === 'ff' || (version === '00' && more !== undefined)) return null
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled ? '01' : '00'}`
}

/**
 * Is a trace of this id among the share that is kept? The last 56 bits decide, which the standard calls random, so that everybody who
 * samples by the same share keeps the same traces.
 */
export function isSampled(traceId: string, ratio: number): boolean {
  return Number.parseInt(traceId.slice(-14), 16) / 2 ** 56 < ratio
}
