/**
 * `paceline plan`: says what a change of a resource file would do, with the operator's own planner, and does nothing.
 *
 * Against the running instance, or with `--cluster` (or `--kubeconfig`, `--namespace`) against a cluster.
 */
import { resolve } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import { preview } from '../operator/core/preview.ts'
import { chosenInstance } from './chosenInstance.ts'
import type { Context } from './context.ts'
import { parseFlags } from './flags.ts'
import { askOperator } from './local/ask.ts'
import { isAlive } from './local/identity.ts'
import { readInstance } from './local/instance.ts'
import { resourcesIn } from './models.ts'
import { presentInCluster } from './plan/cluster.ts'
import { type Present, presentOf, snapshotOf, type Wanted } from './plan/present.ts'
import { planText } from './plan/text.ts'
import { withCacheDir } from './up.ts'

const options = {
  file: { type: 'string' },
  port: { type: 'string' },
  cluster: { type: 'boolean', default: false },
  kubeconfig: { type: 'string' },
  namespace: { type: 'string' },
  json: { type: 'boolean', default: false },
  'cache-dir': { type: 'string' },
} as const

export async function plan(args: readonly string[], given: Context): Promise<number> {
  const flags = parseFlags('plan', args, options)
  if (flags.file === undefined)
    throw new Failure('invalid-configuration', 'plan: name the changed file or folder with --file')
  const context = withCacheDir(given, flags['cache-dir'])
  const { deployments } = await resourcesIn(resolve(flags.file))
  const wanted = deployments.map(({ metadata, spec }): Wanted => ({ name: metadata.name, spec }))
  const inCluster = flags.cluster || flags.kubeconfig !== undefined || flags.namespace !== undefined
  const present = inCluster ? await clusterPresent(flags, wanted, context) : await localPresent(flags.port, context)
  // Files are the whole truth of an instance: what they no longer name is removed. A cluster keeps it.
  const gone = [...present.keys()].filter((name) => !inCluster && !wanted.some((pair) => pair.name === name))
  const plans = [...wanted.map((pair) => ({ name: pair.name, pair })), ...gone.map((name) => ({ name, pair: null }))]
  const now = context.clock.now()
  for (const { name, pair } of plans) {
    const before = present.get(name) ?? null
    const snapshot = snapshotOf(before, pair, now)
    const found = preview(snapshot, now)
    if (flags.json) context.terminal.line(JSON.stringify({ name, ...found }))
    else for (const line of planText(before, snapshot, found)) context.terminal.line(line)
  }
  return 0
}

async function localPresent(port: string | undefined, context: Context): Promise<Map<string, Present | null>> {
  const instance = chosenInstance(port, context)
  const record = readInstance(instance.paths)
  if (record === null || !isAlive(record.owner)) {
    context.terminal.line(`nothing runs on port ${instance.port}: as if everything were new`)
    return new Map()
  }
  const operator = await askOperator(record.operatorUrl)
  if (operator === null)
    throw new Failure('no-worker', `the operator at ${record.operatorUrl} does not answer; try again`)
  return new Map(operator.deployments.map((report) => [report.name, presentOf(report)]))
}

function clusterPresent(
  flags: { kubeconfig?: string | undefined; namespace?: string | undefined },
  wanted: readonly Wanted[],
  { clock, random }: Context,
): Promise<Map<string, Present | null>> {
  const place = { kubeconfig: flags.kubeconfig, namespace: flags.namespace, clock, random }
  return presentInCluster(
    place,
    wanted.map(({ name }) => name),
  )
}
