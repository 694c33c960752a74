/** Command line of every measurement: `--rounds N`, `--quick`, `--only name`, `--json file`, and own numbers. */
import { parseArgs } from 'node:util'

export interface BenchOptions {
  readonly rounds: number
  /** Fewer rounds and shorter runs: shows that everything works and gives a first idea, not a result. */
  readonly quick: boolean
  /** Only the sections whose name contains this. */
  readonly only: string | null
  readonly value: (name: string, otherwise: number) => number
  readonly text: (name: string, otherwise: string) => string
}

export function readOptions(
  defaults: { rounds: number; quickRounds: number },
  argv: readonly string[] = process.argv.slice(2),
): BenchOptions {
  const { values } = parseArgs({ args: [...argv], strict: false, options: { quick: { type: 'boolean' } } })
  const given = asPairs(argv)
  const quick = values['quick'] === true
  return {
    quick,
    rounds: numberOf(given.get('rounds'), quick ? defaults.quickRounds : defaults.rounds),
    only: given.get('only') ?? null,
    value: (name, otherwise) => numberOf(given.get(name), otherwise),
    text: (name, otherwise) => given.get(name) ?? otherwise,
  }
}

function asPairs(argv: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>()
  argv.forEach((argument, index) => {
    if (!argument.startsWith('--')) return
    const [name = '', ...inline] = argument.slice(2).split('=')
    const next = argv[index + 1]
    if (inline.length > 0) pairs.set(name, inline.join('='))
    else if (next !== undefined && !next.startsWith('--')) pairs.set(name, next)
  })
  return pairs
}

function numberOf(text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!Number.isFinite(value)) throw new TypeError(`"${text}" is not a number`)
  return value
}
