/**
 * Finds out about one answer whatever the sources of its route want to know, all at once: checks on their own thread, further samples, the
 * judge, the embedding. Each of these is optional: what fails or is late is an abstention, or an embedding that is not there.
 *
 * Never rejects for what the outside world does, and decides nothing: `core/riskVotes.ts` and `core/riskScore.ts` do.
 */
import { DeploymentName } from '#contracts/ids.ts'
import { limits } from '#contracts/limits.ts'
import type { Work } from '#contracts/messages.ts'
import type { ModelRecord } from '#contracts/records.ts'
import type { RiskPolicy } from '#contracts/riskPolicy.ts'
import type { Sampling } from '#contracts/sampling.ts'
import { questionOf } from './core/judgement.ts'
import { checksOf, firstLabel, labelChecks, type Votes, votesOf } from './core/riskVotes.ts'
import type { Redaction, Texts } from './core/riskChecks.ts'
import type { InnerRequests } from './innerRequests.ts'
import { judged } from './judge.ts'
import type { Choice } from './openai/format.ts'
import type { RiskChecker } from './riskChecker.ts'

export interface Assessed {
  readonly votes: Votes
  /** Null: nobody gave one. */
  readonly embedding: readonly number[] | null
  /** Of question and answer, what may be kept; null: nothing. */
  readonly texts: Texts | null
}

export interface Assessing {
  readonly policy: RiskPolicy
  readonly inner: InnerRequests
  /** Who answered, what it was asked and how. */
  readonly model: ModelRecord
  readonly work: Work
  readonly sampling: Sampling
  readonly answer: Choice
  /** Rules for texts that are kept; null: none are. */
  readonly redactions: readonly Redaction[] | null
}

export interface AssessorOptions {
  readonly checker: RiskChecker
  readonly record: (deployment: DeploymentName) => ModelRecord | undefined
}

export class Assessor {
  readonly #checker: RiskChecker
  readonly #record: AssessorOptions['record']

  constructor({ checker, record }: AssessorOptions) {
    this.#checker = checker
    this.#record = record
  }

  async assess(assessing: Assessing): Promise<Assessed> {
    const { policy, work, answer, redactions } = assessing
    const texts = { question: ending(lastQuestion(work)), answer: ending(answer.text) }
    const [checks, samples, ranking, embedding] = await Promise.all([
      this.#checker.check({ checks: checksOf(policy), texts, redactions: redactions ?? [] }),
      this.#samples(assessing),
      this.#ranking(assessing, texts),
      this.#embedding(assessing, texts),
    ])
    const sampleLabels = await this.#labelsOf(samples ?? [], policy)
    const logProbabilities = answer.logprobs?.map(({ logprob }) => logprob) ?? null
    const findings = { texts, checked: checks.checked, logProbabilities, samples, sampleLabels, ranking }
    return { votes: votesOf(policy, findings), embedding, texts: redactions === null ? null : checks.texts }
  }

  async #samples({ policy, inner, model, work, sampling }: Assessing): Promise<string[] | null> {
    const wanted = policy.sources.find(({ selfConsistency }) => selfConsistency !== undefined)?.selfConsistency
    if (wanted === undefined) return null
    const { samples: choices, temperature } = wanted
    // Another seed: with that of the answer the first sample would only repeat it.
    const drawn = { ...sampling, temperature, seed: (sampling.seed + 1) >>> 0, logprobs: null }
    const { patienceMs } = inner
    const answered = await inner.ask({ model, works: [work], choices, sampling: drawn, patienceMs })
    return answered.kind === 'completed' ? answered.choices.map(({ text }) => ending(text)) : null
  }

  async #labelsOf(samples: readonly string[], { labels }: RiskPolicy): Promise<(number | null)[]> {
    if (labels.length === 0) return []
    const checks = labelChecks(labels)
    const looked = samples.map((answer) =>
      this.#checker.check({ checks, texts: { question: '', answer }, redactions: [] }),
    )
    return (await Promise.all(looked)).map(({ checked }) => firstLabel(checked))
  }

  async #ranking({ policy, inner, model, work }: Assessing, { answer }: Texts): Promise<number | null> {
    const wanted = policy.sources.find(({ metaRanking }) => metaRanking !== undefined)?.metaRanking
    const question = questionOf(work)
    if (wanted === undefined || question === null || policy.references.length === 0) return null
    const judge = wanted.judge === undefined ? model : this.#record(DeploymentName.parse(wanted.judge))
    if (judge === undefined) return null
    return judged(inner, { model: judge, references: policy.references, prior: null }, [{ question, answer }])
  }

  /** A classification's labels are of the question; right and wrong are of both. */
  async #embedding({ policy, inner, sampling, work }: Assessing, { answer }: Texts): Promise<readonly number[] | null> {
    const model = this.#record(policy.embedding)
    const question = questionOf(work)
    if (model === undefined || question === null || !model.capabilities.embeddings) return null
    const text = policy.labels.length > 0 ? question : `${question}\n${answer}`
    const input = ending(text).slice(-model.contextTokensMax * charactersPerToken)
    const { patienceMs } = inner
    const embedded = await inner.ask({ model, works: [{ kind: 'embedding', inputs: [input] }], sampling, patienceMs })
    return embedded.kind === 'completed' ? (embedded.embeddings[0] ?? null) : null
  }
}

/** What the client said last, which is what checks are written for; what was said before is for judges and embeddings. */
function lastQuestion(work: Work): string {
  if (work.kind === 'chat') return work.messages.findLast(({ role }) => role === 'user')?.content ?? ''
  return questionOf(work) ?? ''
}

const ending = (text: string) => text.slice(-limits.risk.textCharactersMax)

/** Fewer than most texts have, so that what is cut fits. */
const charactersPerToken = 2
