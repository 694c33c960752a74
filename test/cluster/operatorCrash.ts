/**
 * The operator is killed right after its n-th write to the API, for several n or for all that one life of a pair has; each time the pair
 * must end in the same state as one that nobody disturbed, and nothing of it may be left after its deletion.
 *
 * Killed is the process that wrote (the audit log says from which address), by SIGKILL; its pod is then removed at once, so that
 * the next one need not wait for the kubelet's growing pauses.
 */
import * as z from 'zod'
import { writes as writeVerbs } from './kit/audit.ts'
import { waitFor } from './kit/cluster.ts'
import { belongings, rolledOut, simulatedPair } from './pairs.ts'
import type { Paceline } from './paceline.ts'
import { killInPod } from './podProcess.ts'

export interface CrashResult {
  readonly write: number
  /** Against the undisturbed pair; empty is good. */
  readonly difference: readonly string[]
}

const operatorSelector = 'app.kubernetes.io/component=operator'

/** `writes`: after which ones; `all` of those that bring the pair up. */
export async function killOperatorAfterWrites(
  paceline: Paceline,
  { name, writes }: { name: string; writes: readonly number[] | 'all' },
): Promise<CrashResult[]> {
  const expected = await lifeOf(paceline, name, null)
  const numbers = writes === 'all' ? Array.from({ length: expected.writes }, (_, index) => index + 1) : writes
  const results: CrashResult[] = []
  for (const write of numbers) {
    const found = await lifeOf(paceline, name, write)
    results.push({ write, difference: differing(expected.state, found.state) })
  }
  return results
}

interface Life {
  /** How many writes brought the pair up. */
  readonly writes: number
  readonly state: readonly string[]
}

/** Creates the pair, lets it come up, notes its state, deletes it. */
async function lifeOf(paceline: Paceline, name: string, killAfter: number | null): Promise<Life> {
  const seen = new Set(operatorWrites(paceline).map(({ id }) => id))
  await paceline.apply(simulatedPair(name))
  if (killAfter !== null) await killAfterWrite(paceline, seen, killAfter)
  await rolledOut(paceline, name, 120_000)
  const state = await finalState(paceline, name)
  const writes = operatorWrites(paceline).filter(({ id }) => !seen.has(id)).length
  await paceline.kubectl('delete', 'pair', name, '--timeout=90s')
  const left = async () => (await belongings(paceline, name)).length === 0
  await waitFor({ what: `nothing left of ${name}`, waitMsMax: 90_000, everyMs: 250 }, left)
  return { writes, state }
}

function operatorWrites(paceline: Paceline) {
  const user = `system:serviceaccount:${paceline.namespace}:paceline-operator`
  return paceline.cluster
    .audit()
    .filter((entry) => entry.user === user && writeVerbs.includes(entry.verb) && entry.resource !== 'leases')
}

async function killAfterWrite(paceline: Paceline, seen: ReadonlySet<string>, nth: number): Promise<void> {
  const wait = { what: `write ${nth} of the operator`, waitMsMax: 60_000, everyMs: 5 }
  const address = await waitFor(wait, () => {
    const fresh = operatorWrites(paceline).filter(({ id }) => !seen.has(id))
    return Promise.resolve(fresh.length >= nth ? fresh[nth - 1]?.address : undefined)
  })
  const pod = await operatorPodAt(paceline, address)
  killInPod(paceline.cluster, pod, 'SIGKILL')
  await paceline.kubectl('delete', 'pod', pod, '--grace-period=0', '--force')
}

const Pods = z.object({
  items: z.array(
    z.object({ metadata: z.object({ name: z.string() }), status: z.object({ podIP: z.string().optional() }) }),
  ),
})

export async function operatorPodAt(paceline: Paceline, address: string): Promise<string> {
  const pods = Pods.parse(await paceline.cluster.list('pods', paceline.namespace, operatorSelector)).items
  const pod = pods.find(({ status }) => status.podIP === address)
  if (pod === undefined) throw new Error(`no operator pod has the address ${address}`)
  return pod.metadata.name
}

const Objects = z.object({
  items: z.array(z.object({ kind: z.string(), metadata: z.object({ name: z.string() }) })),
})

/** Kinds and names (without the part that is of one life), and what the pair's status says. */
async function finalState(paceline: Paceline, name: string): Promise<string[]> {
  const kinds = 'pods,services,configmaps,poddisruptionbudgets'
  const { items } = Objects.parse(await paceline.get(kinds, '-l', `paceline.dev/deployment=${name}`))
  const Pair = z.object({
    metadata: z.object({ finalizers: z.array(z.string()).default([]) }),
    status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string() })) }),
  })
  const { metadata, status } = Pair.parse(await paceline.get('pair', name))
  return [
    ...items.map(
      (item) => `${item.kind} ${item.kind === 'Pod' ? item.metadata.name.replace(/-\w+$/, '') : item.metadata.name}`,
    ),
    ...metadata.finalizers.map((finalizer) => `finalizer ${finalizer}`),
    ...status.conditions.map((condition) => `${condition.type}=${condition.status} ${condition.reason}`),
  ].toSorted()
}

function differing(expected: readonly string[], found: readonly string[]): string[] {
  return [
    ...found.filter((line) => !expected.includes(line)).map((line) => `+ ${line}`),
    ...expected.filter((line) => !found.includes(line)).map((line) => `- ${line}`),
    ...(found.length === expected.length ? [] : [`${found.length} lines, not ${expected.length}`]),
  ]
}
