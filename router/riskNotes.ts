/** What was found out about an answer, written down: in metrics, and where its route asks for it as an example to calibrate with. */
import type { DeploymentName, RequestId, RouteName } from '#contracts/ids.ts'
import { packedNumbers } from '#contracts/packedNumbers.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { labelNames, type RiskPolicy } from '#contracts/riskPolicy.ts'
import type { RiskCause, RiskDecision } from './core/riskDecision.ts'
import type { RouterMetrics } from './metrics.ts'
import type { Assessed } from './riskAssessment.ts'
import type { TrafficLog } from './trafficLog.ts'

export interface RiskNotesOptions {
  readonly metrics: RouterMetrics
  /** Null: this router keeps nothing, whatever a route asks for. */
  readonly traffic: Pick<TrafficLog, 'keep'> | null
  readonly record: (deployment: DeploymentName) => ModelRecord | undefined
}

export interface Noted {
  readonly route: RouteName
  readonly policy: RiskPolicy
  readonly request: RequestId
  readonly assessed: Assessed
  readonly risk: number | null
  readonly cause: RiskCause
  /** The client gets this very answer. */
  readonly isGiven: boolean
}

export class RiskNotes {
  readonly #options: RiskNotesOptions

  constructor(options: RiskNotesOptions) {
    this.#options = options
  }

  decided(route: RouteName, { kind, cause }: RiskDecision): void {
    this.#options.metrics.riskDecisions.inc({ route, action: kind, cause })
  }

  /** Of first answers: what is said in a second try follows another law. */
  scored({ route, policy, assessed, risk }: Noted): void {
    const { metrics } = this.#options
    const { votes, ownLabel } = assessed.votes
    if (risk !== null) metrics.riskScores.observe({ route }, risk)
    for (const [i, { name: source }] of policy.sources.entries()) {
      const vote = votes[i] ?? null
      const said = vote === null ? 'abstains' : vote === ownLabel ? 'agrees' : 'disagrees'
      metrics.riskVotes.inc({ route, source, vote: said })
    }
  }

  keep({ route, policy, request, assessed, risk, cause, isGiven }: Noted): void {
    const { traffic, record } = this.#options
    if (traffic === null) return
    const { votes, embedding, texts } = assessed
    const [model, embeddingModel] = [policy.deployment, policy.embedding].map((each) => record(each)?.model)
    traffic.keep({
      kind: 'RiskExample',
      version: 1,
      route,
      request,
      ...(model === undefined ? {} : { model }),
      ...(embeddingModel === undefined ? {} : { embeddingModel }),
      labels: [...labelNames(policy.labels)],
      ownLabel: votes.ownLabel,
      votes: Object.fromEntries(policy.sources.map(({ name: source }, i) => [source, votes.votes[i] ?? null])),
      signals: votes.signals,
      embedding: embedding === null ? null : packedNumbers(embedding),
      risk,
      cause,
      isGiven,
      ...texts,
    })
  }
}
