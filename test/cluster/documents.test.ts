/**
 * Every command of the page on installing, in its order, on a real cluster: what a person types works as it stands there.
 *
 * Changed are only the namespace, and what the cluster of the tests needs: its images and little CPU as further values.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import * as z from 'zod'
import { projectFolder } from '../bench/harness/machine.ts'
import { freePort } from '../integration/support/natsServer.ts'
import { attempt } from './kit/commands.ts'
import { programPath } from './kit/programs.ts'
import { describeCluster } from './kit/sharedCluster.ts'
import { describeNamespace, prepare, testValues } from './paceline.ts'

const page = readFileSync(join(projectFolder, 'docs', 'install-on-kubernetes.md'), 'utf8')
const namespace = 'documents'

/** Indented blocks outside fences; a line that ends with a backslash goes on. */
const commands = page
  .replaceAll(/^```[^]*?^```$/gm, '')
  .replaceAll(/ \\\n +/g, ' ')
  .split('\n')
  .flatMap((line) => /^ {4}(\S.*)$/.exec(line)?.[1] ?? [])

/** Command (its beginning) → why it is not run here. */
const notRun: Readonly<Record<string, string>> = {
  'npm run images':
    'no registry of base images can be reached; what it prints is tested in images/, and was built once from local bases',
  'kubectl delete crd': 'would remove the pairs of the other tests',
}

const Secrets = z.object({
  items: z.array(z.object({ metadata: z.object({ name: z.string() }), data: z.record(z.string(), z.string()) })),
})

describeCluster('the commands of docs/install-on-kubernetes.md', (cluster) => {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-documents-'))
  const forwards: ChildProcess[] = []
  let port = 0
  const environment = () => ({
    ...cluster().environment,
    PATH:
      [programPath('helm'), programPath('kubectl')].map((path) => dirname(path)).join(delimiter) +
      delimiter +
      (process.env['PATH'] ?? ''),
  })
  beforeAll(async () => {
    await prepare(cluster(), 3)
    port = await freePort()
    writeFileSync(join(folder, 'values.json'), JSON.stringify(testValues(cluster())))
    await cluster().kubectl('create', 'namespace', namespace)
    await cluster().kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted')
  })
  afterAll(async () => {
    for (const child of forwards) child.kill('SIGKILL')
    await cluster().tryKubectl(['delete', 'namespace', namespace, '--wait=false'])
    rmSync(folder, { recursive: true, force: true })
  })

  /** As typed, in the namespace and with the values of this test. */
  const adapted = (command: string) => {
    const typed = command
      .replaceAll('--namespace paceline', `--namespace ${namespace}`)
      .replaceAll('8080', String(port))
    const more = ` --values ${join(folder, 'values.json')} --take-ownership`
    return /^helm (install|upgrade)/.test(typed) ? typed + more : typed
  }
  const forward = async (command: string) => {
    const child = spawn('/bin/sh', ['-c', `exec ${command}`], {
      env: { ...process.env, ...environment() },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    forwards.push(child)
    await once(child.stdout, 'data')
  }

  test.each(commands)('%s', { timeout: 240_000 }, async (command) => {
    if (Object.keys(notRun).some((beginning) => command.startsWith(beginning))) return
    const line = adapted(command)
    if (command.includes('port-forward')) return forward(line)
    const secrets = await secretsNow()
    const { code, stdout, stderr } = await attempt('/bin/sh', ['-c', line], {
      environment: environment(),
      waitMsMax: 230_000,
    })
    const isGood = code === 0 && (!command.startsWith('curl') || stdout.includes('chat.completion'))
    const explained = isGood ? '' : await describeNamespace(cluster(), namespace)
    expect(isGood, `${line}: exit ${code}\n${stdout}${stderr}\n${explained}`).toBe(true)
    await settle(command)
    // What was there before is there after, unaltered: upgrades draw nothing anew.
    if (/^helm (upgrade|rollback)/.test(command)) expect(await secretsNow()).toMatchObject(secrets)
  })

  /** Name → data of the Secrets that the chart made. */
  async function secretsNow(): Promise<Record<string, unknown>> {
    const { code, stdout } = await cluster().tryKubectl([
      '-n',
      namespace,
      'get',
      'secrets',
      '-l',
      'app.kubernetes.io/component=nats',
      '-o',
      'json',
    ])
    const items = code === 0 ? Secrets.parse(JSON.parse(stdout)).items : []
    return Object.fromEntries(items.map(({ metadata, data }) => [metadata.name, data]))
  }

  /** A person takes a breath between two commands; what the next one needs is waited for. */
  async function settle(command: string): Promise<void> {
    if (!/^helm (upgrade|rollback)|rollout restart/.test(command)) return
    for (const name of ['deployment/paceline-operator', 'deployment/paceline-router', 'statefulset/paceline-nats'])
      await cluster().kubectl('rollout', 'status', '--namespace', namespace, name, '--timeout=120s')
    await sleep(500)
  }
})
