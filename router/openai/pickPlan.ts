/** A planned pick as `POST /v1/route:explain` shows it. */
import type { PickPlan } from '../core/pickPlan.ts'

/** Workers listed, those first where requests that begin alike meet. */
const workersMax = 256

export function pickBody({ picked, need, workers }: PickPlan) {
  return {
    worker: picked?.worker.id ?? null,
    cause: picked?.cause ?? 'none-free',
    bound_ms: rounded(picked?.boundMs ?? null),
    prompt_tokens: need.promptTokens,
    /** Prefixes of it that are worth knowing. */
    prefixes: need.prefixes.length,
    workers: workers.slice(0, workersMax).map(({ worker, standing, heldTokens, firstTokenMs, costMs, place }) => ({
      worker,
      standing,
      held_tokens: heldTokens,
      first_token_ms: rounded(firstTokenMs),
      cost_ms: rounded(costMs),
      place,
    })),
  }
}

const rounded = (ms: number | null) => (ms === null ? null : Math.round(ms * 1_000) / 1_000)
