/**
 * `npm run images`: the commands that build the images of this commit, or with `--build` the images themselves, by the first of
 * buildah, podman and docker that is there.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import { version } from '#runtime/version.ts'
import { type Builder, buildCommands, builders, imageNames } from '../images/images.ts'
import type { Context } from './context.ts'
import { execute, lastLine } from './execute.ts'
import { parseChoice, parseFlags } from './flags.ts'

export async function images(args: readonly string[], context: Context): Promise<number> {
  const { config, terminal, interrupts } = context
  const flags = parseFlags('images', args, {
    build: { type: 'boolean' },
    builder: { type: 'string' },
    image: { type: 'string', multiple: true },
    'build-base': { type: 'string' },
    base: { type: 'string' },
    'cuda-base': { type: 'string' },
    registry: { type: 'string' },
    tag: { type: 'string' },
  })
  const chosen = (flags.image ?? []).map((name) => parseChoice('--image', name, imageNames))
  const commit = await commitOf(context)
  const commands = buildCommands(
    chosen.length > 0
      ? chosen
      : imageNames.filter((name) => name !== 'worker-cuda' || flags['cuda-base'] !== undefined),
    {
      builder: flags.builder === undefined ? present(context) : parseChoice('--builder', flags.builder, builders),
      buildBase: required('--build-base', flags['build-base']),
      base: required('--base', flags.base),
      cudaBase: flags['cuda-base'] ?? null,
      registry: flags.registry ?? '',
      tag: flags.tag ?? version,
      version,
      ...commit,
    },
  )
  for (const { command, args: words, environment, image } of commands) {
    const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
    terminal.line([...variables, command, ...words].join(' '))
    if (flags.build !== true) continue
    const ended = await execute(command, words, {
      cwd: config.root,
      environment: { ...config.environment, ...environment },
      signal: interrupts.first,
      output: 'inherit',
    })
    if (ended.code !== 0)
      throw new Failure('tool-missing', `${command} could not build ${image} (exit code ${ended.code})`)
  }
  return 0
}

function required(flag: string, value: string | undefined): string {
  if (value !== undefined) return value
  throw new Failure(
    'invalid-configuration',
    `images: ${flag} is missing; images/router.Containerfile says what it must hold`,
  )
}

function present({ config }: Context): Builder {
  const found = builders.find((name) => config.searchPath.some((folder) => existsSync(join(folder, name))))
  return found ?? 'buildah'
}

/** A tree that is no checkout has no commit; its images say so. */
async function commitOf({ config, interrupts }: Context): Promise<{ revision: string; sourceDateEpoch: number }> {
  const asked = await execute('git', ['log', '-1', '--format=%H %ct'], { cwd: config.root, signal: interrupts.first })
  const [revision, seconds] = lastLine(asked.stdout).split(' ')
  return asked.code === 0 && revision !== undefined && seconds !== undefined
    ? { revision, sourceDateEpoch: Number(seconds) }
    : { revision: 'unknown', sourceDateEpoch: 0 }
}
