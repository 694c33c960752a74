/**
 * Other ways to pick a worker, for comparisons: what gateways before language models do, and each half of ours alone.
 */
import { hash32, weightOf } from '#algorithms/rendezvous.ts'
import { type Picked, pick, type PickRule, weigh, type Weighed } from '../../router/core/pick.ts'
import type { Need } from '../../router/core/prompt.ts'
import { loadOf, type Worker } from '../../router/core/workers.ts'

export const rivals = {
  'round robin': roundRobin,
  'least requests': () => least((worker) => loadOf(worker)),
  'least time with prefixes unseen': () => (eligible, need) =>
    pick(eligible, { ...need, prefixes: [], key: hash32(String(need.key)) }),
  'longest prefix': longestPrefix,
  'consistent hashing': () => (eligible, need) => highest(eligible, need),
  'hashing bounded by requests': () => boundedByRequests,
} satisfies Readonly<Record<string, () => PickRule>>

/** Each in turn, whoever has room: as a proxy does that knows nothing else. */
function roundRobin(): PickRule {
  let last = ''
  return (eligible, need) => {
    const sorted = [...eligible].sort((a, b) => (a.id < b.id ? -1 : 1))
    const next = sorted.find(({ id }) => id > last) ?? sorted[0]
    if (next === undefined) return null
    last = next.id
    return picked(next, need)
  }
}

function least(of: (worker: Worker, need: Need) => number): PickRule {
  return (eligible, need) => {
    const smallest = Math.min(...eligible.map((worker) => of(worker, need)))
    return highest(
      eligible.filter((worker) => of(worker, need) === smallest),
      need,
    )
  }
}

/** Always after the prefix, however busy its holder is; least requests where nobody holds any. */
function longestPrefix(): PickRule {
  const leastRequests = least((worker) => loadOf(worker))
  return (eligible, need) => {
    const weighed = eligible.map((worker) => weigh(worker, need))
    const longest = Math.max(...weighed.map(({ heldTokens }) => heldTokens))
    const holders = weighed.filter(({ heldTokens }) => heldTokens === longest).map(({ worker }) => worker)
    return leastRequests(longest === 0 ? eligible : holders, need)
  }
}

/** As published: whoever has fewer than 1.25 times the mean number of requests, this one included. */
const boundedByRequests: PickRule = (eligible, need) => {
  const total = eligible.reduce((sum, worker) => sum + loadOf(worker), 0) + 1
  const most = Math.ceil((1.25 * total) / eligible.length)
  return highest(
    eligible.filter((worker) => loadOf(worker) + 1 <= most),
    need,
  )
}

function highest(eligible: readonly Worker[], need: Need): Picked | null {
  let best: Worker | null = null
  for (const worker of eligible)
    if (best === null || weightOf(need.key, worker.seat) > weightOf(need.key, best.seat)) best = worker
  return best === null ? null : picked(best, need)
}

const picked = (worker: Worker, need: Need): Picked => {
  const weighed: Weighed = weigh(worker, need)
  return { ...weighed, cause: 'cheapest', boundMs: weighed.costMs }
}
