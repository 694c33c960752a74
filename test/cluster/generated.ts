/**
 * Generated changes of pairs under the eyes of an operator: what the API server takes, it comes to terms with and says so in a
 * condition; once each pair is put right again, each one serves.
 */
import fc from 'fast-check'
import * as z from 'zod'
import { openAccess } from '../../operator/kubernetes/access.ts'
import { createTransport } from '../../operator/kubernetes/transport.ts'
import { systemClock } from '#runtime/clock.ts'
import { anySpec } from '../resources/arbitraryResource.ts'
import { flipFlop, seed, tell } from './flipFlop.ts'
import { waitFor } from './kit/cluster.ts'
import type { Ground } from './loneOperator.ts'

const namesCount = 40

export interface Generated {
  /** One line for each answer of the API that the schemas do not give; empty is good. */
  readonly wrong: readonly string[]
  readonly taken: number
  readonly told: number
}

const Pairs = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string(), generation: z.number() }),
      status: z
        .object({
          conditions: z.array(z.object({ type: z.string(), status: z.string(), observedGeneration: z.number() })),
        })
        .optional(),
    }),
  ),
})

/** A machine of two cores plays the node: few workers, whatever the spec asks for. */
const few = anySpec.map((spec) => {
  const fields = z.record(z.string(), z.unknown()).safeParse(spec).data
  const scaling = z.record(z.string(), z.unknown()).safeParse(fields?.['scaling']).data
  if (fields === undefined) return spec
  const small = (value: unknown) => (Number.isInteger(value) && Number(value) > 2 ? 2 : value)
  return {
    ...fields,
    ...('replicas' in fields ? { replicas: small(fields['replicas']) } : {}),
    ...(scaling === undefined
      ? {}
      : {
          scaling: Object.fromEntries(
            Object.entries(scaling).map(([name, value]) => [name, /^m..Replicas$/.test(name) ? small(value) : value]),
          ),
        }),
  }
})

/** A few at a time: the API server, etcd and the operator share two cores with whoever writes. */
async function inLanes<T>(names: readonly string[], work: (name: string, index: number) => Promise<T>): Promise<T[]> {
  const left = names.map((name, index) => ({ name, index }))
  const done: T[] = []
  const lane = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) done.push(await work(next.name, next.index))
  }
  await Promise.all(Array.from({ length: 6 }, lane))
  return done
}

/** Throws where a pair ends without a condition, or does not serve once it is right. An operator must run. */
export async function changeGenerated(
  { cluster, namespace, words }: Ground,
  { specsPerName }: { specsPerName: number },
): Promise<Generated> {
  const api = createTransport(openAccess(cluster.kubeconfig, systemClock), systemClock)
  const teller = { api, namespace }
  const pairs = async () => Pairs.parse(await cluster.list('deployments', namespace)).items
  const isReady = ({ metadata, status }: Awaited<ReturnType<typeof pairs>>[number], wanted?: string) =>
    status?.conditions.some(
      (condition) =>
        condition.type === 'Ready' &&
        condition.observedGeneration === metadata.generation &&
        (wanted === undefined || condition.status === wanted),
    ) === true
  try {
    const names = Array.from({ length: namesCount }, (_, i) => `flip-${i}`)
    const specs = fc.sample(few, { seed, numRuns: namesCount * specsPerName })
    const results = await inLanes(names, (name, i) =>
      flipFlop(teller, 'ModelDeployment', name, specs.slice(i * specsPerName, (i + 1) * specsPerName)),
    )
    const wait = { waitMsMax: 180_000, everyMs: 250, explain: words }
    await waitFor({ ...wait, what: 'a condition of each' }, async () => (await pairs()).every((pair) => isReady(pair)))
    const right = { engine: { kind: 'simulated', contextTokensMax: 512, slots: 2 } }
    const mended = await inLanes(names, (name) => tell(teller, 'ModelDeployment', name, right))
    await waitFor({ ...wait, what: 'each to serve' }, async () => {
      const all = await pairs()
      return all.length === namesCount && all.every((pair) => isReady(pair, 'True'))
    })
    return {
      wrong: [
        ...results.flatMap(({ wrong }) => wrong),
        ...mended.filter(({ status }) => status >= 300).map(({ status }) => `a right spec was answered by ${status}`),
      ],
      taken: results.reduce((sum, { good }) => sum + good, 0),
      told: specs.length,
    }
  } finally {
    api.close()
  }
}
