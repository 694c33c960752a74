/**
 * Soak: the long forms of the tests on a real cluster. Linux, root, and the machine for itself.
 *
 *   npm run soak -- cluster [--only rollouts|model|upgrade|freezes|crashes|changes] [--rollouts 10] [--freezes 30]
 *     [--changes 2000] [--quick]
 *
 * Rollouts of simulated workers under 20 requests/s and 10 long streams, two of the real model, an upgrade of the chart and the way
 * back; the leader frozen beyond its lease again and again; the operator killed after each of its writes; generated changes of 40 pairs.
 */
import { definitions } from '../cluster/definitions.ts'
import { changeGenerated } from '../cluster/generated.ts'
import type { LoadResult } from '../cluster/kit/load.ts'
import { freezeLeader } from '../cluster/leaderFreeze.ts'
import { killOperatorAfterWrites } from '../cluster/operatorCrash.ts'
import { prepareGround } from '../cluster/loneOperator.ts'
import { install, type Paceline } from '../cluster/paceline.ts'
import { rollOutRealModel, rollOutUnderLoad, upgradeUnderLoad } from '../cluster/rollouts.ts'
import { up } from '../cluster/kit/cluster.ts'
import { readOptions } from '../bench/harness/options.ts'
import { Report } from '../bench/harness/report.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const rollouts = options.value('rollouts', options.quick ? 2 : 10)
const freezes = options.value('freezes', options.quick ? 2 : 30)
const writes = options.quick ? ([1, 2] as const) : 'all'
const changes = options.value('changes', options.quick ? 400 : 2_000)
const report = new Report('soak-cluster', 'Rollouts, frozen leaders and crashes on a real cluster')

/** One after the other on one release, each with a pair of its own name that goes before the next. */
const sections: Readonly<Record<string, (paceline: Paceline, name: string) => Promise<void>>> = {
  rollouts: async (paceline, name) =>
    nothingLost(`${rollouts} rollouts`, await rollOutUnderLoad(paceline, { name, rollouts })),
  model: async (paceline, name) =>
    nothingLost('2 rollouts of the real model', await rollOutRealModel(paceline, { name, rollouts: 2 })),
  upgrade: async (paceline, name) =>
    nothingLost('an upgrade of the chart and the way back', await upgradeUnderLoad(paceline, name)),
  freezes: async (paceline, name) => {
    const rounds = await freezeLeader(paceline, { name, rounds: freezes })
    report.add('freezes', rounds)
    requireNone(`stale writes in ${freezes} freezes`, rounds.flatMap(({ staleWrites }) => staleWrites).length)
  },
  crashes: async (paceline, name) => {
    const crashes = await killOperatorAfterWrites(paceline, { name, writes })
    report.add('crashes', crashes)
    requireNone(
      `other final states in ${crashes.length} crashes`,
      crashes.filter(({ difference }) => difference.length > 0).length,
    )
  },
}

const isWanted = (name: string) => options.only === null || options.only === name
if (isWanted('changes')) await changePairs()
const wanted = Object.entries(sections).filter(([name]) => isWanted(name))
if (wanted.length > 0) await runOnOneRelease()
process.exitCode = report.finish({ quick: options.quick })

async function runOnOneRelease(): Promise<void> {
  await using cluster = await up({ extent: 'all' })
  const lease = { durationMs: 3_000, renewMs: 800, retryMs: 400, marginMs: 300 }
  const paceline = await install(cluster, { namespace: 'soak', values: { operator: { lease } } })
  for (const [name, run] of wanted) {
    // What one section breaks on is its result; the others still tell theirs.
    await run(paceline, name).catch((error: unknown) => {
      report.note(`${name}: ${error instanceof Error ? error.message : String(error)}`)
      requireNone(`breaks of ${name}`, 1)
    })
    await paceline.kubectl('delete', 'pair', name, '--ignore-not-found', '--timeout=90s')
  }
}

function nothingLost(what: string, load: LoadResult): void {
  report.add(what, load)
  report.note(`${what}: ${load.answered} requests and ${load.streamsEnded} streams`)
  for (const failure of load.failures.slice(0, 5)) report.note(failure)
  requireNone(`requests and streams lost in ${what}`, load.failures.length)
}

function requireNone(what: string, measured: number): void {
  report.require({ what, measured, bound: { atMost: 0 }, unit: '' })
}

/** In a cluster where nobody else writes. */
async function changePairs(): Promise<void> {
  await using control = await up({ extent: 'control-plane', definitions })
  const ground = await prepareGround(control, 'generated')
  try {
    const operator = await ground.start()
    const result = await changeGenerated(ground, { specsPerName: Math.ceil(changes / 40) })
    report.add('generated', result)
    requireNone(`wrong answers in ${changes}`, result.wrong.length)
    requireNone('ends of the operator', operator.child.exitCode === null ? 0 : 1)
  } finally {
    await ground.close()
  }
}
