/**
 * The leading operator is stopped (SIGSTOP) in the middle of its work, for longer than its lease, and continued when another leads.
 *
 * A stale write is one that the API accepted from the old leader's address after the other took the lease. The pair flips between
 * two sizes all the time, so that there is always something to write.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type AuditEntry, writes as writeVerbs } from './kit/audit.ts'
import { waitFor } from './kit/cluster.ts'
import { rolledOut, simulatedPair } from './pairs.ts'
import type { Paceline } from './paceline.ts'
import { operatorPodAt } from './operatorCrash.ts'
import { killInPod, runsInPod } from './podProcess.ts'

export interface FreezeRound {
  readonly leader: string
  readonly successor: string
  readonly successorWrites: number
  /** As `patch modeldeployments/status led 200`. */
  readonly staleWrites: readonly string[]
}

/** Long enough for a woken leader to do whatever it would do. */
const afterwardsMs = 1_500

export async function freezeLeader(
  paceline: Paceline,
  { name, rounds }: { name: string; rounds: number },
): Promise<FreezeRound[]> {
  await paceline.apply(simulatedPair(name, { replicas: 1 }))
  await rolledOut(paceline, name)
  const stop = new AbortController()
  const flipping = flip(paceline, name, stop.signal)
  const results: FreezeRound[] = []
  try {
    for (let round = 0; round < rounds; round += 1) {
      const result = await freezeOnce(paceline)
      results.push(result)
      // Who has lost the lease ends; another pod of it need not wait for the kubelet's growing pauses.
      await paceline.kubectl('delete', 'pod', result.leader, '--grace-period=0', '--force')
      await paceline.kubectl('rollout', 'status', 'deployment/paceline-operator', '--timeout=60s')
    }
  } finally {
    stop.abort()
    await flipping
  }
  return results
}

async function flip(paceline: Paceline, name: string, signal: AbortSignal): Promise<void> {
  for (let replicas = 2; !signal.aborted; replicas = 3 - replicas) {
    await paceline.cluster.tryKubectl(['-n', paceline.namespace, 'scale', `pair/${name}`, `--replicas=${replicas}`])
    await sleep(700)
  }
}

async function freezeOnce(paceline: Paceline): Promise<FreezeRound> {
  const leader = await stopLeader(paceline)
  try {
    const wait = { what: 'another leader', waitMsMax: 30_000, everyMs: 50 }
    const successor = await waitFor(wait, async () => {
      const now = await leaderPod(paceline)
      return now.name === leader.name ? false : now
    })
    const takenAt = new Date()
    await sleep(afterwardsMs)
    killInPod(paceline.cluster, leader.name, 'SIGCONT')
    await sleep(afterwardsMs)
    const since = operatorEntries(paceline).filter(({ receivedAt }) => receivedAt > takenAt)
    const accepted = since.filter(({ code, resource }) => code < 300 && resource !== 'leases')
    return {
      leader: leader.name,
      successor: successor.name,
      successorWrites: accepted.filter(({ address }) => address === successor.address).length,
      staleWrites: accepted.filter(({ address }) => address === leader.address).map(described),
    }
  } catch (error) {
    killInPod(paceline.cluster, leader.name, 'SIGCONT')
    throw error
  }
}

/** On a busy machine a leader may lose its lease and end by itself: then the next one is stopped. */
function stopLeader(paceline: Paceline): Promise<{ name: string; address: string }> {
  return waitFor({ what: 'a leader to stop', waitMsMax: 60_000, everyMs: 250 }, async () => {
    const leader = await leaderPod(paceline)
    // Where it is in its work is up to chance.
    await sleep(Math.random() * 700)
    if (!runsInPod(paceline.cluster, leader.name)) return false
    killInPod(paceline.cluster, leader.name, 'SIGSTOP')
    return leader
  })
}

const described = ({ verb, resource, name, code }: AuditEntry) => `${verb} ${resource} ${name} ${code}`

function operatorEntries(paceline: Paceline): AuditEntry[] {
  const user = `system:serviceaccount:${paceline.namespace}:paceline-operator`
  return paceline.cluster.audit().filter((entry) => entry.user === user && writeVerbs.includes(entry.verb))
}

/** Who has written the lease last; its holder's name begins with the name of its pod. */
async function leaderPod(paceline: Paceline): Promise<{ name: string; address: string }> {
  return waitFor({ what: 'a leader', waitMsMax: 20_000, everyMs: 100 }, async () => {
    const last = operatorEntries(paceline).findLast(({ resource, code }) => resource === 'leases' && code < 300)
    if (last === undefined || Date.now() - last.receivedAt.getTime() > 2_000) return false
    return { name: await operatorPodAt(paceline, last.address), address: last.address }
  })
}
