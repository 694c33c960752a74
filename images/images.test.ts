import { expect, test } from 'vitest'
import { buildCommands, builders, type ImageOptions, imageNames } from './images.ts'

const digest = `@sha256:${'0'.repeat(64)}`
const options: ImageOptions = {
  builder: 'buildah',
  buildBase: `node${digest}`,
  base: `distroless${digest}`,
  cudaBase: `cuda${digest}`,
  registry: 'registry.example/paceline/',
  tag: '1.2.3',
  version: '1.2.3',
  revision: 'abc',
  sourceDateEpoch: 1_700_000_000,
}

test('each image has a command that names its file, its bases, its commit and its tag', () => {
  const [command] = buildCommands(['router'], options)
  expect(command?.args.join(' ')).toBe(
    `build --format oci --timestamp 1700000000 --file images/router.Containerfile --build-arg BUILD_BASE=node${digest} ` +
      `--build-arg BASE=distroless${digest} --build-arg VERSION=1.2.3 --build-arg REVISION=abc ` +
      '--build-arg SOURCE_DATE_EPOCH=1700000000 --tag registry.example/paceline/paceline-router:1.2.3 .',
  )
})

test('the CUDA worker is the same file on another base', () => {
  const [cpu, cuda] = buildCommands(['worker', 'worker-cuda'], options)
  expect(cpu?.args).toEqual(
    expect.arrayContaining(['images/worker.Containerfile', 'VARIANT=cpu', `BASE=distroless${digest}`]),
  )
  expect(cuda?.args).toEqual(
    expect.arrayContaining(['images/worker.Containerfile', 'VARIANT=cuda', `BASE=cuda${digest}`]),
  )
  expect(() => buildCommands(['worker-cuda'], { ...options, cudaBase: null })).toThrow('--cuda-base')
})

test('a base that is only a tag is refused: it is another image tomorrow', () => {
  expect(() => buildCommands(['router'], { ...options, base: 'node:24' })).toThrow(
    '--base must name its image by digest',
  )
  expect(() => buildCommands(['router'], { ...options, buildBase: 'node:24' })).toThrow('--build-base')
})

test('every builder is told the time of the commit', () => {
  for (const builder of builders)
    for (const command of buildCommands(imageNames, { ...options, builder })) {
      expect(command.environment).toEqual({ SOURCE_DATE_EPOCH: '1700000000' })
      expect(command.args.at(-1)).toBe('.')
    }
})
