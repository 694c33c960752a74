/**
 * Structured logs: a constant message plus fields, one JSON line each, on standard output.
 *
 * Prompts, answers and keys are never passed to a log; what could carry one by mistake is cut to
 * `limits.logs.fieldCharactersMax` and secrets are redacted by field name. Errors are logged once, where somebody acts on them.
 */
import pino from 'pino'
import { limits } from '#contracts/limits.ts'

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

export interface Log {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
  child(fields: LogFields): Log
}

const secretFields = ['password', 'key', 'token', 'authorization', 'apiKey', 'env']

export function createLog(options: { part: string; level: LogLevel; fields?: LogFields }): Log {
  const logger = pino(
    {
      level: options.level,
      base: { part: options.part, ...options.fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: shorten },
      redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`]), censor: '***' },
      serializers: { error: pino.stdSerializers.err },
    },
    // Synchronous: the last line before a crash is the one that matters.
    pino.destination({ fd: 1, sync: true }),
  )
  return logger
}

/** For tests and tools that want silence. */
export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLog,
}

function shorten(fields: Record<string, unknown>): Record<string, unknown> {
  const max = limits.logs.fieldCharactersMax
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === 'string' && value.length > max)
      fields[name] = `${value.slice(0, max)}… (${value.length} characters)`
  }
  return fields
}
