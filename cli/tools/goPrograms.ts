/**
 * The programs of a real Kubernetes, built from Go modules: no container registry and no download site is needed.
 *
 * Versions stand in `go/<module>/go.mod`, and `go.sum` beside it pins every byte that is compiled. Kubernetes' own go.mod replaces
 * its parts by folders, which `go install` refuses; a module of ours that replaces them by the published parts builds the same
 * release. One build at a time: each one uses every core. Docs: docs/decisions/0017.
 */
import { join } from 'node:path'
import { execute, lastLine } from '../execute.ts'
import type { Tool, ToolSource } from './tool.ts'

export const kubernetesVersion = '1.35.4'
const minor = kubernetesVersion.split('.')[1] ?? ''
/** The first build also fetches some hundred modules. */
const buildTimeoutMs = 1_800_000

interface GoProgram {
  readonly name: string
  readonly version: string
  /** Folder below `go/`. */
  readonly module: string
  /** What is compiled, as an import path or `.`. */
  readonly package: string
  /** `name=value` pairs for the linker; without them the programs believe in versions of their own. */
  readonly stamps?: readonly string[]
  readonly versionArgs: readonly string[]
  /** Which copies found on PATH will do; default: exactly this version. Null: the program does not know its version. */
  readonly fits?: RegExp | null
}

const versionPackage = 'k8s.io/component-base/version'
const ofKubernetes = (name: string, versionArgs = ['--version']): Tool =>
  goProgram({
    name,
    version: kubernetesVersion,
    module: 'kubernetes',
    package: `k8s.io/kubernetes/cmd/${name}`,
    stamps: [
      `${versionPackage}.gitVersion=v${kubernetesVersion}`,
      `${versionPackage}.gitMajor=1`,
      `${versionPackage}.gitMinor=${minor}`,
      `${versionPackage}.gitTreeState=clean`,
      `${versionPackage}.gitCommit=0000000`,
    ],
    versionArgs,
  })

export const helm: Tool = goProgram({
  name: 'helm',
  version: '3.22.0',
  module: 'helm',
  package: 'helm.sh/helm/v3/cmd/helm',
  // `helm template` of an unstamped build believes in Kubernetes 1.20 and refuses charts with a kubeVersion.
  stamps: [
    'helm.sh/helm/v3/internal/version.version=v3.22.0',
    'helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1',
    `helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=${minor}`,
  ],
  versionArgs: ['version', '--short'],
  fits: /v3\.(?:1[6-9]|[2-9]\d)\.\d+/,
})

export const kubectl: Tool = ofKubernetes('kubectl', ['version', '--client'])

/** Plays nodes and pods; measurements use it, no test does, and its build takes minutes. */
export const kwok: Tool = goProgram({
  name: 'kwok',
  version: '0.8.0',
  module: 'kwok',
  package: 'sigs.k8s.io/kwok/cmd/kwok',
  versionArgs: ['--version'],
  fits: null,
})

/** What the tests need, in the order in which they are needed: the first three are enough for an API without nodes. */
export const clusterPrograms: readonly Tool[] = [
  goProgram({ name: 'etcd', version: '3.6.16', module: 'etcd', package: '.', versionArgs: ['--version'] }),
  ofKubernetes('kube-apiserver'),
  kubectl,
  ofKubernetes('kube-controller-manager'),
  ofKubernetes('kube-scheduler'),
  ofKubernetes('kubelet'),
  ofKubernetes('kube-proxy'),
  helm,
  goProgram({
    name: 'coredns',
    version: '1.15.0',
    module: 'coredns',
    package: 'github.com/coredns/coredns',
    versionArgs: ['-version'],
  }),
  goProgram({ name: 'pause', version: '1', module: 'pause', package: '.', versionArgs: ['-v'], fits: null }),
]

function goProgram(program: GoProgram): Tool {
  const exact = new RegExp(String.raw`(?<![\d.])${program.version.replaceAll('.', String.raw`\.`)}(?![\d.])`)
  return {
    name: program.name,
    folder: `${program.name}-${program.version}`,
    async check(path, { interrupts }) {
      const ended = await execute(path, program.versionArgs, { timeoutMs: 20_000, signal: interrupts.first })
      const said = `${program.versionArgs.join(' ')}: ${lastLine(ended.output)}`
      if (ended.code !== 0) return { kind: 'unfit', reason: said }
      const { fits = exact } = program
      if (fits === null) return { kind: 'good', version: program.version }
      const version = fits.exec(ended.output)?.[0]
      return version === undefined
        ? { kind: 'unfit', reason: `not ${program.version}: ${said}` }
        : { kind: 'good', version: version.replace(/^v/, '') }
    },
    sources: [build(program)],
    remedy: `install Go 1.25 or newer, or put ${program.name} ${program.version} on PATH`,
  }
}

function build(program: GoProgram): ToolSource {
  return {
    title: `go build of version ${program.version} (minutes the first time)`,
    async make(folder, { config, interrupts }) {
      const path = join(folder, program.name)
      const stamps = (program.stamps ?? []).map((stamp) => ` -X ${stamp}`).join('')
      const args = ['build', '-trimpath', '-ldflags', `-s -w${stamps}`, '-o', path, program.package]
      const ended = await execute('go', args, {
        cwd: join(config.root, 'cli', 'tools', 'go', program.module),
        // What the caller's GOFLAGS say (-mod=mod, -race) must not change what is built.
        environment: { ...config.environment, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly -buildvcs=false' },
        timeoutMs: buildTimeoutMs,
        signal: interrupts.first,
      })
      if (ended.code === 0) return { kind: 'made', path }
      return { kind: 'failed', reason: `go build: ${lastLine(ended.output)}` }
    },
  }
}
