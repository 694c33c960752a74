/**
 * Soak: the long forms of the tests on a real cluster. Linux, root, and the machine for itself.
 *
 *   npm run soak -- cluster [--rollouts 10] [--freezes 30] [--writes 12] [--changes 2000] [--quick]
 *
 * Rollouts of simulated workers under 20 requests/s and 10 long streams; the leader frozen beyond its lease again and again; the
 * operator killed after each of its writes; generated changes of 40 pairs.
 */
import { definitions } from '../cluster/definitions.ts'
import { changeGenerated } from '../cluster/generated.ts'
import { freezeLeader } from '../cluster/leaderFreeze.ts'
import { killOperatorAfterWrites } from '../cluster/operatorCrash.ts'
import { prepareGround } from '../cluster/loneOperator.ts'
import { install } from '../cluster/paceline.ts'
import { rollOutUnderLoad } from '../cluster/rollouts.ts'
import { up } from '../cluster/kit/cluster.ts'
import { readOptions } from '../bench/harness/options.ts'
import { Report } from '../bench/harness/report.ts'

const options = readOptions({ rounds: 1, quickRounds: 1 })
const rollouts = options.value('rollouts', options.quick ? 2 : 10)
const freezes = options.value('freezes', options.quick ? 2 : 30)
const writes = options.value('writes', options.quick ? 2 : 12)
const changes = options.value('changes', options.quick ? 400 : 2_000)
const report = new Report('soak-cluster', 'Rollouts, frozen leaders and crashes on a real cluster')

await changePairs()
await using cluster = await up({ extent: 'all' })
const lease = { durationMs: 3_000, renewMs: 800, retryMs: 400, marginMs: 300 }
const paceline = await install(cluster, { namespace: 'soak', values: { operator: { lease } } })

const load = await rollOutUnderLoad(paceline, { name: 'roll', rollouts })
report.add('rollouts', { rollouts, ...load })
report.note(`${rollouts} rollouts: ${load.answered} requests and ${load.streamsEnded} streams`)
for (const failure of load.failures.slice(0, 5)) report.note(failure)
report.require({ what: 'requests and streams lost', measured: load.failures.length, bound: { atMost: 0 }, unit: '' })
await paceline.kubectl('delete', 'pair', 'roll', '--timeout=90s')

const rounds = await freezeLeader(paceline, { name: 'led', rounds: freezes })
const stale = rounds.flatMap(({ staleWrites }) => staleWrites)
report.add('freezes', rounds)
report.require({ what: `stale writes in ${freezes} freezes`, measured: stale.length, bound: { atMost: 0 }, unit: '' })
await paceline.kubectl('delete', 'pair', 'led', '--timeout=90s')

const numbers = Array.from({ length: writes }, (_, index) => index + 1)
const crashes = await killOperatorAfterWrites(paceline, { name: 'torn', writes: numbers })
const different = crashes.filter(({ difference }) => difference.length > 0)
report.add('crashes', crashes)
report.require({
  what: `other final states in ${writes} crashes`,
  measured: different.length,
  bound: { atMost: 0 },
  unit: '',
})
process.exitCode = report.finish({ quick: options.quick })

/** In a cluster where nobody else writes. */
async function changePairs(): Promise<void> {
  await using control = await up({ extent: 'control-plane', definitions })
  const ground = await prepareGround(control, 'generated')
  try {
    const operator = await ground.start()
    const result = await changeGenerated(ground, { specsPerName: Math.ceil(changes / 40) })
    report.add('generated', result)
    report.require({
      what: `wrong answers in ${changes}`,
      measured: result.wrong.length,
      bound: { atMost: 0 },
      unit: '',
    })
    const ends = operator.child.exitCode === null ? 0 : 1
    report.require({ what: 'ends of the operator', measured: ends, bound: { atMost: 0 }, unit: '' })
  } finally {
    await ground.close()
  }
}
