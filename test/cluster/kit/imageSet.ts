/**
 * The images of the tests, all made from local files: what a cluster itself runs (pause, DNS), and Paceline's own parts with the
 * `nats` image that the chart names. Same contents as `images/` builds, without a base image.
 */
import { operatorNodeFlags } from '#contracts/operatorConfig.ts'
import { routerNodeFlags } from '#contracts/routerConfig.ts'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { readCliConfig } from '../../../cli/config.ts'
import { findNatsServer } from '../../integration/support/natsServer.ts'
import type { Box } from './box.ts'
import { type Image, writeArchive } from './image.ts'
import { type Layer, LayerPlan } from './layer.ts'
import { containerImages } from './node.ts'
import { programPath } from './programs.ts'

const { root, cacheDir } = readCliConfig(process.env, process.platform)
const layers = join(cacheDir, 'images')
const nonRoot = '65532:65532'
const parts = ['operator', 'router', 'gpu-worker'] as const
/** As in the Containerfiles. */
const flagsOf = (part: (typeof parts)[number]): readonly string[] =>
  part === 'operator' ? operatorNodeFlags : part === 'router' ? routerNodeFlags : []
const sources = ['contracts', 'algorithms', 'runtime', ...parts, 'package.json']

export const imageNames = {
  operator: 'localhost/paceline-operator:test',
  router: 'localhost/paceline-router:test',
  worker: 'localhost/paceline-worker:test',
  nats: 'localhost/nats:test',
  web: 'localhost/web:1',
} as const

/** What the node needs before anything runs on it. */
export function infrastructureImages(): Image[] {
  const program = (name: string): Layer =>
    new LayerPlan().folder('/tmp', 0o1777).add(programPath(name), `/${name}`).make(layers)
  return [
    { name: 'localhost/pause:1', layers: [program('pause')], entrypoint: ['/pause'], user: nonRoot },
    { name: 'localhost/coredns:1', layers: [program('coredns')], entrypoint: ['/coredns'] },
  ]
}

/** A pod that answers, for tests of the cluster itself. */
export function webImage(): Image {
  return { name: imageNames.web, layers: [nodeLayer(), webLayer()], entrypoint: ['node', '/web.ts'], user: nonRoot }
}

/** Paceline's parts and NATS. */
export function pacelineImages(): Image[] {
  const node = nodeLayer()
  const packages = new LayerPlan()
  const engine = new LayerPlan()
  for (const path of productionPackages()) {
    const plan = path.includes('@node-llama-cpp') ? engine : packages
    plan.add(join(root, path), join('/app', path), (below) => !/(^|\/)node_modules(\/|$)/.test(below))
  }
  const own = new LayerPlan()
  const isTest = /\.(?:test|fixture)\.ts$|(?:^|\/)(?:testing|fixtures)(?:\/|$)/
  for (const path of sources) own.add(join(root, path), join('/app', path), (below) => !isTest.test(below))
  const shared = [node, packages.make(layers), own.make(layers)]
  const image = (name: string, part: (typeof parts)[number], more: readonly Layer[] = []): Image => ({
    name,
    layers: [...shared, ...more],
    entrypoint: ['node', ...flagsOf(part), `${part}/main.ts`],
    workingDir: '/app',
    environment: { NODE_ENV: 'production', NODE_OPTIONS: '--import=/app/runtime/earlySignals.ts' },
    user: nonRoot,
  })
  return [
    image(imageNames.operator, 'operator'),
    image(imageNames.router, 'router'),
    image(imageNames.worker, 'gpu-worker', [engine.make(layers)]),
    natsImage(),
  ]
}

function natsImage(): Image {
  const program = findNatsServer()
  if (program === null) throw new Error('no nats-server for an image (npm test brings one)')
  const plan = new LayerPlan().folder('/tmp', 0o1777).add(program, '/nats-server')
  return { name: imageNames.nats, layers: [plan.make(layers)], entrypoint: ['/nats-server'], user: nonRoot }
}

/** Node with its libraries; those of name resolution are opened by glibc at run time. */
function nodeLayer(): Layer {
  const node = join(root, 'node_modules', 'node', 'bin', 'node')
  return new LayerPlan()
    .folder('/tmp', 0o1777)
    .text('/etc/nsswitch.conf', 'hosts: files dns\n')
    .text('/etc/passwd', 'nonroot:x:65532:65532::/tmp:/sbin/nologin\n')
    .add(node, '/usr/local/bin/node')
    .addLibrariesBeside(node, ['libnss_files.so.2', 'libnss_dns.so.2', 'libresolv.so.2'])
    .make(layers)
}

const webLayer = (): Layer => new LayerPlan().add(join(import.meta.dirname, 'web.ts'), '/web.ts').make(layers)

const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({ dev: z.boolean().optional(), os: z.array(z.string()).optional(), cpu: z.array(z.string()).optional() }),
  ),
})

/** Paths of the packages that run in production, by the lock file; those of other machines left out. */
function productionPackages(): string[] {
  const { packages } = Lock.parse(JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')))
  return Object.entries(packages)
    .filter(([path, entry]) => path !== '' && entry.dev !== true)
    .filter(([, { os, cpu }]) => (os ?? ['linux']).includes('linux') && (cpu ?? [process.arch]).includes(process.arch))
    .map(([path]) => path)
    .filter((path) => existsSync(join(root, path)))
}

/** Loads images into the node's store; the archive that carries them is removed again. */
export async function importImages(box: Box, images: readonly Image[]): Promise<void> {
  const archive = join(box.addresses.folder, 'images.tar')
  writeArchive(archive, images)
  try {
    await containerImages(box, ['import', archive])
  } finally {
    rmSync(archive, { force: true })
  }
}
