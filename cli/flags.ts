/**
 * Flags of a verb: `node:util` parses, this file says in one line what was wrong and what would be right.
 */
import { parseArgs, type ParseArgsOptionsConfig } from 'node:util'
import { Failure } from '#contracts/failure.ts'

export function parseFlags<const Options extends ParseArgsOptionsConfig>(
  verb: string,
  args: readonly string[],
  options: Options,
) {
  const known = Object.keys(options)
    .filter((name) => name !== 'supervised')
    .map((name) => `--${name}`)
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (cause) {
    const problem = cause instanceof Error ? (cause.message.split('. ')[0] ?? cause.message) : String(cause)
    const choice = known.length === 0 ? 'it takes no flags' : `known flags are ${known.join(', ')}`
    throw new Failure('invalid-configuration', `${verb}: ${problem}; ${choice}`, { cause })
  }
}

export function parsePort(flag: string, text: string): number {
  const port = Number(text)
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port
  throw new Failure('invalid-configuration', `${flag} must be a port from 1 to 65535, not "${text}"`)
}

export function parseChoice<const Choice extends string>(
  flag: string,
  text: string,
  choices: readonly Choice[],
): Choice {
  const found = choices.find((choice) => choice === text)
  if (found !== undefined) return found
  throw new Failure('invalid-configuration', `${flag} must be one of ${choices.join(', ')}, not "${text}"`)
}
