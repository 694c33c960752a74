/** Real prompts answered one after the other by one worker, with other proposals on each side. */
import { samplingDefaults } from '#contracts/sampling.ts'
import type { Proposer } from '../../../gpu-worker/proposer.ts'
import type { ModelRunner } from '../../../gpu-worker/modelRunner.ts'
import { EngineStand } from '../../behaviour/engineStand.ts'
import { calibratedCurve, storeOf } from './calibratedCurve.ts'
import { median, sum } from './statistics.ts'
import { type Task, taskPrompt, tasks } from './taskPrompts.ts'

export interface TextSide {
  readonly name: string
  /** A new one for each round: what was learned from a text must not answer it again. */
  propose(): Proposer | null
}

export interface TextResult {
  readonly side: string
  readonly task: Task
  readonly msPerToken: number
  readonly tokensPerStep: number
}

const promptsPerRound = 2

export async function measureTexts(
  runner: ModelRunner,
  sides: readonly TextSide[],
  options: { readonly rounds: number; readonly tokensMax: number },
): Promise<TextResult[]> {
  const { curve } = await calibratedCurve(runner)
  const counted = countSteps(runner)
  const results: TextResult[] = []
  for (const task of tasks) {
    const measured = sides.map(() => ({ ms: [] as number[], tokens: 0, steps: 0 }))
    for (let round = 0; round < options.rounds; round++)
      for (const [i, side] of sides.entries()) {
        const proposer = side.propose()
        await using stand = new EngineStand(counted.runner, {
          proposers: proposer === null ? [] : [proposer],
          curveStore: storeOf(curve),
          speculation: { method: 'auto', controller: 'goodput', draftTokensMax: 8 },
        })
        const stepsBefore = counted.steps()
        const startedAt = process.cpuUsage()
        let tokens = 0
        for (let index = 0; index < promptsPerRound; index++) {
          const prompt = taskPrompt(task, 7_000 + tasks.indexOf(task) * 1_000 + round * 100 + index)
          const [answer] = await stand.ask([
            {
              work: { kind: 'chat', messages: [{ role: 'user', content: prompt }] },
              sampling: { ...samplingDefaults, seed: 1, temperature: 0, maxTokens: options.tokensMax },
              deltaIntervalMs: 60_000,
            },
          ])
          tokens += sum(answer?.choices.map((choice) => choice.tokens.length) ?? [])
        }
        const { user, system } = process.cpuUsage(startedAt)
        const one = measured[i]
        one?.ms.push((user + system) / 1_000 / tokens)
        if (one !== undefined) one.tokens += tokens
        if (one !== undefined) one.steps += counted.steps() - stepsBefore
      }
    for (const [i, side] of sides.entries()) {
      const { ms = [], tokens = 0, steps = 1 } = measured[i] ?? {}
      results.push({ side: side.name, task, msPerToken: median(ms), tokensPerStep: tokens / steps })
    }
  }
  return results
}

/** Counts the steps that read rows. */
function countSteps(runner: ModelRunner): { runner: ModelRunner; steps: () => number } {
  let steps = 0
  const decode = runner.decode.bind(runner)
  runner.decode = (spans, how) => {
    if (spans.some(({ logitsForLast }) => logitsForLast > 0)) steps += 1
    return decode(spans, how)
  }
  return { runner, steps: () => steps }
}
