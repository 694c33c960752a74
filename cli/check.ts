/**
 * `npm run check`: everything that can be known in a minute with nothing installed but the packages, and `npm run format`.
 *
 * All steps run, whatever fails, so that one run names every problem; what a failed step said is printed after the summary.
 */
import { join } from 'node:path'
import type { Context } from './context.ts'
import { execute } from './execute.ts'
import { parseFlags } from './flags.ts'
import { staleFiles } from './generate.ts'
import { table } from './terminal.ts'

interface Step {
  readonly name: string
  /** What to do about a failure, where the output does not say. */
  readonly remedy?: string
  run(context: Context): Promise<{ isGood: boolean; output: string }>
}

const steps: readonly Step[] = [
  { name: 'format', remedy: 'npm run format', run: program('biome', ['format', '.']) },
  { name: 'lint', run: program('oxlint', ['--type-aware', '--deny-warnings']) },
  { name: 'types', run: program('tsc', ['--noEmit']) },
  { name: 'generated', remedy: 'npm run generate', run: generatedIsFresh },
  { name: 'tests', run: program('vitest', ['run', '--project', 'unit', '--project', 'tidy', '--reporter', 'dot']) },
]

export async function check(args: readonly string[], context: Context): Promise<number> {
  parseFlags('check', args, {})
  const { clock, terminal } = context
  const results = await Promise.all(
    steps.map(async (step) => {
      const startMs = clock.now()
      const result = await step.run(context)
      return { ...step, ...result, seconds: (clock.now() - startMs) / 1000 }
    }),
  )
  const failed = results.filter((result) => !result.isGood)
  for (const { name, output, remedy } of failed) {
    terminal.line(`--- ${name}${remedy === undefined ? '' : ` (mend it with: ${remedy})`}`)
    terminal.line(output.trimEnd())
  }
  const rows = results.map((result) => [
    result.name,
    result.isGood ? 'good' : 'FAILED',
    `${result.seconds.toFixed(1)} s`,
  ])
  for (const line of table(['check', 'result', 'time'], rows)) terminal.line(line)
  return failed.length === 0 ? 0 : 1
}

export async function format(args: readonly string[], context: Context): Promise<number> {
  parseFlags('format', args, {})
  const { isGood, output } = await program('biome', ['format', '--write', '.'])(context)
  context.terminal.line(output.trimEnd())
  return isGood ? 0 : 1
}

/** Programs come from the lock file, never from PATH. */
function program(name: string, args: readonly string[]): Step['run'] {
  return async ({ config, interrupts }) => {
    const bin = join(config.root, 'node_modules', '.bin')
    const environment = { ...config.environment, PATH: [bin, ...config.searchPath].join(':'), NO_COLOR: '1' }
    const options = { cwd: config.root, environment, signal: interrupts.first }
    const { code, output } = await execute(join(bin, name), args, options)
    return { isGood: code === 0, output }
  }
}

function generatedIsFresh({ config }: Context): Promise<{ isGood: boolean; output: string }> {
  const stale = staleFiles(config.root)
  return Promise.resolve({
    isGood: stale.length === 0,
    output: stale.map((path) => `${path} is not what its source says`).join('\n'),
  })
}
