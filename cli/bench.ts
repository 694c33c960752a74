/**
 * `npm run bench -- <name> [flags]`: starts one measurement of `test/bench`; its own header says what it needs and prints.
 */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { Context } from './context.ts'
import { execute } from './execute.ts'

export async function bench([name, ...args]: readonly string[], { config, interrupts }: Context): Promise<number> {
  const folder = join(config.root, 'test', 'bench')
  const known = existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => /^\w+\.ts$/.test(file))
        .map((file) => file.slice(0, -3))
    : []
  if (name === undefined || !known.includes(name))
    throw new Failure(
      'invalid-configuration',
      `bench: name one of ${known.join(', ')}, as in npm run bench -- ${known[0] ?? 'worker'}`,
    )
  const bin = join(config.root, 'node_modules', '.bin')
  const environment = { ...config.environment, PATH: [bin, ...config.searchPath].join(':') }
  const options = { cwd: config.root, environment, signal: interrupts.first, output: 'inherit' } as const
  const { code } = await execute(process.execPath, [join(folder, `${name}.ts`), ...args], options)
  return code ?? 1
}
