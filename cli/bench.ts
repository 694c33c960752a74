/**
 * `npm run bench -- <name> [flags]` and `npm run soak -- <name> [flags]`: one measurement of `test/bench`, one long run of
 * `test/soak`; its own header says what it needs and prints. Not for `test`: these want the machine for themselves.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { Context, Verb } from './context.ts'
import { execute } from './execute.ts'
import { clusterEnvironment, testEnvironment } from './testEnvironment.ts'
import { kwok } from './tools/goPrograms.ts'

export const bench: Verb = (args, context) => measure('bench', args, context)
export const soak: Verb = (args, context) => measure('soak', args, context)

async function measure(verb: string, [name, ...args]: readonly string[], context: Context): Promise<number> {
  const { config, interrupts } = context
  const folder = join(config.root, 'test', verb)
  const known = programsIn(folder)
  if (name === undefined || !known.includes(name)) {
    const example = `npm run ${verb} -- ${known[0] ?? 'name'}`
    throw new Failure('invalid-configuration', `${verb}: name one of ${known.join(', ')}, as in ${example}`)
  }
  const environment = {
    ...(await testEnvironment(context)),
    ...(name === 'cluster' ? await clusterEnvironment(context, verb === 'bench' ? [kwok] : []) : {}),
  }
  const options = { cwd: config.root, environment, signal: interrupts.first, output: 'inherit' } as const
  const { code } = await execute(process.execPath, [join(folder, `${name}.ts`), ...args], options)
  return code ?? 1
}

function programsIn(folder: string): string[] {
  const files = existsSync(folder) ? readdirSync(folder) : []
  return files.filter((file) => /^\w+\.ts$/.test(file)).map((file) => file.slice(0, -'.ts'.length))
}
