/** Rollouts of a simulated pair while clients use it; a short form for every run, a long one for `test/soak`. */
import { Load, type LoadResult } from './kit/load.ts'
import { rolledOut, simulatedPair } from './pairs.ts'
import type { Paceline } from './paceline.ts'

export async function rollOutUnderLoad(
  paceline: Paceline,
  { name, rollouts }: { name: string; rollouts: number },
): Promise<LoadResult> {
  const context = (index: number) => 4_096 + index * 256
  await paceline.apply(simulatedPair(name, { replicas: 2, contextTokensMax: context(0) }))
  await rolledOut(paceline, name)
  // Streams of some six seconds: longer than a worker takes to be replaced.
  const rates = { requestsPerSecond: 20, requestTokens: 8, streams: 10, streamTokens: 300 }
  const load = new Load({ url: paceline.url, model: name, ...rates })
  try {
    for (let index = 1; index <= rollouts; index += 1) {
      await paceline.apply(simulatedPair(name, { replicas: 2, contextTokensMax: context(index) }))
      await rolledOut(paceline, name)
    }
  } catch (error) {
    const { failures } = await load.end()
    throw new Error(
      `${error instanceof Error ? error.message : String(error)}; so far: ${failures.slice(0, 5).join('; ')}`,
    )
  }
  return load.end()
}
