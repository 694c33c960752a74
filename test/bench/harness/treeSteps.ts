/** What one step costs whose drafts are a chain, or a tree of so many paths, with all that opens and closes it. */
import type { BatchSpan, ModelRunner } from '../../../gpu-worker/modelRunner.ts'
import { median } from './statistics.ts'

export interface StepShape {
  readonly name: string
  readonly layout: 'unified' | 'split'
  /** Of the drafts; none: a plain step. */
  readonly parents: readonly number[] | null
}

const chain = [-1, 0, 1, 2, 3, 4, 5, 6]

export const stepShapes: readonly StepShape[] = [
  { name: 'no drafts, split', layout: 'split', parents: [] },
  { name: 'no drafts, unified', layout: 'unified', parents: [] },
  { name: 'chain, split', layout: 'split', parents: chain },
  { name: 'chain, unified', layout: 'unified', parents: chain },
  { name: 'tree of 2 paths', layout: 'unified', parents: [-1, -1, 0, 2, 3, 4, 5, 6] },
  { name: '4 paths', layout: 'unified', parents: [-1, -1, 0, 0, 2, 2, 4, 6] },
  { name: '5 paths', layout: 'unified', parents: [-1, -1, -1, -1, -1, 0, 5, 6] },
]

export async function measureSteps(
  runners: Readonly<Record<'unified' | 'split', ModelRunner>>,
  options: { readonly streams: number; readonly contextTokens: number; readonly rounds: number },
): Promise<number[]> {
  const { streams, contextTokens, rounds } = options
  for (const runner of Object.values(runners))
    for (let slot = 0; slot < streams; slot++) {
      const tokens = Array.from({ length: contextTokens }, (_, i) => 1_000 + ((i + 7 * slot) % 5_000))
      await runner.decode([{ slot, position: 0, tokens, logitsForLast: 0 }])
    }
  const times = stepShapes.map((): number[] => [])
  for (let round = 0; round <= rounds; round++)
    for (const [i, shape] of stepShapes.entries()) {
      const ms = await timeOf(runners[shape.layout], shape, { streams, contextTokens })
      if (round > 0) times[i]?.push(ms)
    }
  return times.map(median)
}

async function timeOf(
  runner: ModelRunner,
  { parents }: StepShape,
  { streams, contextTokens }: { streams: number; contextTokens: number },
): Promise<number> {
  const drafts = parents ?? []
  const isTree = drafts.some((parent, i) => parent !== i - 1)
  const spans = Array.from(
    { length: streams },
    (_, slot): BatchSpan => ({
      slot,
      position: contextTokens,
      tokens: [2_000, ...drafts.map((_, i) => 3_000 + i)],
      logitsForLast: 1 + drafts.length,
      ...(isTree ? { parents: drafts } : {}),
    }),
  )
  const startedAt = process.cpuUsage()
  const { kind } = await runner.decode(spans)
  if (kind !== 'decoded') throw new Error(`a step was not decoded: ${kind}`)
  // One draft is taken; the next step begins where this one did.
  for (let slot = 0; slot < streams; slot++)
    if (isTree) runner.keepPath(slot, [0])
    else runner.truncate(slot, contextTokens + Math.min(2, 1 + drafts.length))
  const { user, system } = process.cpuUsage(startedAt)
  for (let slot = 0; slot < streams; slot++) runner.truncate(slot, contextTokens)
  return (user + system) / 1_000
}
