/**
 * OpenTelemetry's own variables, as far as they say something to a router: what a cluster sets for all its programs works here too. What
 * they ask for and is not done here is a mistake, not a surprise. Pure.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http'
import type { Attributes } from '#runtime/tracing.ts'

export interface TracingSettings {
  /** Of the requests to the receiver: often a key. */
  readonly headers: Readonly<Record<string, string>>
  /** Of the process, beside its name. */
  readonly resource: Attributes
}

/** Variable → where its value goes in the router's settings. */
export const tracingVariables: Readonly<Record<string, readonly string[]>> = {
  OTEL_EXPORTER_OTLP_ENDPOINT: ['tracing', 'endpoint'],
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: ['tracing', 'tracesEndpoint'],
  OTEL_SERVICE_NAME: ['tracing', 'serviceName'],
  OTEL_TRACES_SAMPLER_ARG: ['tracing', 'sampleRatio'],
}

/** A trace that a client began is always kept or dropped with its client's part. */
const samplers = ['parentbased_traceidratio', 'parentbased_always_on']
/** Receivers of either take JSON at the same address. */
const protocols = ['http/json', 'http/protobuf']

type Environment = Readonly<Record<string, string | undefined>>

export function readTracing(environment: Environment): {
  readonly settings: TracingSettings
  /** Whatever else is said. */
  readonly isOff: boolean
  readonly mistakes: readonly string[]
} {
  const headers = listed(environment['OTEL_EXPORTER_OTLP_TRACES_HEADERS'] ?? environment['OTEL_EXPORTER_OTLP_HEADERS'])
  const settings = { headers, resource: listed(environment['OTEL_RESOURCE_ATTRIBUTES']) }
  const isOff = environment['OTEL_SDK_DISABLED'] === 'true' || environment['OTEL_TRACES_EXPORTER'] === 'none'
  return { settings, isOff, mistakes: isOff ? [] : [...mistakesIn(environment), ...unsendable(headers)] }
}

function mistakesIn(environment: Environment): string[] {
  return [
    ...unknown(environment, 'OTEL_TRACES_SAMPLER', samplers),
    ...unknown(environment, 'OTEL_TRACES_EXPORTER', ['otlp', 'none']),
    ...unknown(environment, 'OTEL_EXPORTER_OTLP_PROTOCOL', protocols),
    ...unknown(environment, 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', protocols),
  ]
}

/** Says which by its place: what is wrong may be a key. */
function unsendable(headers: Readonly<Record<string, string>>): string[] {
  return Object.entries(headers).flatMap(([name, value], index) => {
    try {
      validateHeaderName(name)
      validateHeaderValue(name, value)
      return []
    } catch {
      return [
        `OTEL_EXPORTER_OTLP_HEADERS: number ${index + 1} is not a header; it is name=value,name=value, as in authorization=Bearer%20KEY`,
      ]
    }
  })
}

function unknown(environment: Environment, name: string, known: readonly string[]): string[] {
  const value = environment[name]
  return value === undefined || value === '' || known.includes(value)
    ? []
    : [`${name}: ${value} is not done here; known are ${known.join(', ')}`]
}

/** `name=value,name=value`, with percent signs as in addresses. */
function listed(text: string | undefined): Record<string, string> {
  const pairs = (text ?? '').split(',').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=')
    return at <= 0 ? [] : [[pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())]]
  })
  return Object.fromEntries(pairs)
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
