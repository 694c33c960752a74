/**
 * Which images there are and the command that builds each. Pure: `npm run images` prints these or runs them.
 *
 * The same commit gives the same image: bases come with their digest, times are those of the commit.
 */
import { Failure } from '#contracts/failure.ts'

export const imageNames = ['operator', 'router', 'worker', 'worker-cuda'] as const
export type ImageName = (typeof imageNames)[number]
export const builders = ['buildah', 'podman', 'docker'] as const
export type Builder = (typeof builders)[number]

export interface ImageOptions {
  readonly builder: Builder
  /** Node 24 and npm. */
  readonly buildBase: string
  readonly base: string
  /** With the CUDA libraries; only the CUDA worker needs it. */
  readonly cudaBase: string | null
  /** Before each name; empty: none. */
  readonly registry: string
  readonly tag: string
  readonly version: string
  /** The commit. */
  readonly revision: string
  /** Of the commit, in seconds since 1970. */
  readonly sourceDateEpoch: number
}

export interface BuildCommand {
  readonly image: ImageName
  readonly command: Builder
  readonly args: readonly string[]
  readonly environment: Readonly<Record<string, string>>
}

/** Throws `Failure('invalid-configuration')` for a base that is not pinned. */
export function buildCommands(names: readonly ImageName[], options: ImageOptions): BuildCommand[] {
  return names.map((image) => {
    const base = image === 'worker-cuda' ? options.cudaBase : options.base
    if (base === null)
      throw new Failure(
        'invalid-configuration',
        'the CUDA worker needs --cuda-base: an image with libcudart.so.13 and libcublas.so.13',
      )
    const file = image === 'worker-cuda' ? 'worker' : image
    const buildArgs = {
      BUILD_BASE: pinned('--build-base', options.buildBase),
      BASE: pinned(image === 'worker-cuda' ? '--cuda-base' : '--base', base),
      ...(file === 'worker' ? { VARIANT: image === 'worker' ? 'cpu' : 'cuda' } : {}),
      VERSION: options.version,
      REVISION: options.revision,
      SOURCE_DATE_EPOCH: String(options.sourceDateEpoch),
    }
    const name = `${options.registry === '' ? '' : `${options.registry.replace(/\/$/, '')}/`}paceline-${image}:${options.tag}`
    return {
      image,
      command: options.builder,
      args: [
        ...beginning(options),
        '--file',
        `images/${file}.Containerfile`,
        ...Object.entries(buildArgs).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
        '--tag',
        name,
        '.',
      ],
      environment: { SOURCE_DATE_EPOCH: String(options.sourceDateEpoch) },
    }
  })
}

/** How each builder is told to forget when it built. */
function beginning({ builder, sourceDateEpoch }: ImageOptions): string[] {
  switch (builder) {
    case 'buildah':
      return ['build', '--format', 'oci', '--timestamp', String(sourceDateEpoch)]
    case 'podman':
      return ['build', '--format', 'oci', '--timestamp', String(sourceDateEpoch)]
    case 'docker':
      return ['buildx', 'build', '--output', 'type=image,rewrite-timestamp=true', '--provenance=false']
    default:
      return builder satisfies never
  }
}

/** Local images have no digest that outlives a build. */
function pinned(flag: string, base: string): string {
  if (/@sha256:[0-9a-f]{64}$/.test(base) || base === 'scratch' || base.startsWith('localhost/')) return base
  throw new Failure(
    'invalid-configuration',
    `${flag} must name its image by digest (name@sha256:…), not "${base}": a tag is another image tomorrow`,
  )
}
