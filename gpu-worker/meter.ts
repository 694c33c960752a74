/**
 * Everything this worker counts, under vLLM's names. The only place that touches the metrics of the worker.
 */
import type { workerMetrics } from '#contracts/metrics.ts'
import type { Metrics } from '#runtime/metrics.ts'
import type { SpeculationFigures } from './core/speculation/figures.ts'
import { type ProposerMethod, proposerMethods } from './core/speculation/proposer.ts'
import type { Job } from './job.ts'
import type { RunnerInfo } from './modelRunner.ts'

export type WorkerMetrics = Metrics<typeof workerMetrics>
export type Phase = 'plan' | 'draft' | 'control' | 'decode' | 'sample' | 'emit'

export interface Gauges {
  readonly running: number
  readonly waiting: number
  readonly cellsUsedShare: number
  readonly threads: number
  readonly prefixCacheBytes: number
}

export class Meter {
  readonly #metrics: WorkerMetrics
  readonly #labels: { readonly model_name: string; readonly engine: string }
  readonly #phaseLabels: Readonly<Record<Phase, { model_name: string; engine: string; phase: string }>>

  constructor(options: { readonly metrics: WorkerMetrics; readonly model: string; readonly info: RunnerInfo }) {
    this.#metrics = options.metrics
    const labels = { model_name: options.model, engine: options.info.kind }
    this.#labels = labels
    const phase = (name: Phase) => ({ ...labels, phase: name })
    this.#phaseLabels = {
      plan: phase('plan'),
      draft: phase('draft'),
      control: phase('control'),
      decode: phase('decode'),
      sample: phase('sample'),
      emit: phase('emit'),
    }
    const geometry = {
      block_size: 1,
      num_gpu_blocks: options.info.slots * options.info.contextTokensMax,
      cache_dtype: options.info.kvCacheType,
    }
    this.#metrics.cacheConfig.set({ ...labels, ...geometry }, 1)
    this.#startAtZero()
  }

  /** Rates and alerts need a counter before its first event. */
  #startAtZero(): void {
    const { prefixCacheQueries, prefixCacheHits, preemptions, promptTokens, generationTokens } = this.#metrics
    const { draftRounds, draftTokens, acceptedTokens, wastedDraftSeconds, resends } = this.#metrics
    const plain = [prefixCacheQueries, prefixCacheHits, preemptions, promptTokens, generationTokens, resends]
    const { acceptanceSampled, acceptanceBest } = this.#metrics
    const drafting = [draftRounds, draftTokens, acceptedTokens, wastedDraftSeconds, acceptanceSampled, acceptanceBest]
    for (const counter of [...plain, ...drafting]) counter.inc(this.#labels, 0)
    for (const method of proposerMethods) this.#metrics.proposersDropped.inc({ ...this.#labels, method }, 0)
    for (const reason of ['stop', 'length', 'abort'])
      this.#metrics.requestSuccess.inc({ ...this.#labels, finished_reason: reason }, 0)
  }

  gauges(now: Gauges): void {
    this.#metrics.requestsRunning.set(this.#labels, now.running)
    this.#metrics.requestsWaiting.set(this.#labels, now.waiting)
    this.#metrics.kvCacheUsage.set(this.#labels, now.cellsUsedShare)
    this.#metrics.threads.set(this.#labels, now.threads)
    this.#metrics.prefixCacheBytes.set(this.#labels, now.prefixCacheBytes)
  }

  phase(name: Phase, ms: number): void {
    this.#metrics.stepSeconds.observe(this.#phaseLabels[name], ms / 1_000)
  }

  step(rows: number): void {
    this.#metrics.iterationTokens.observe(this.#labels, rows)
  }

  /** One step of an engine that may draft. `controlMs`: choosing how much to draft. */
  speculated({ lengths, rounds, draftMs, wastedMs }: SpeculationFigures, controlMs: number): void {
    for (const length of lengths) this.#metrics.draftLength.observe(this.#labels, length)
    for (const round of rounds) this.#drafted(round)
    if (rounds.length > 0 || draftMs > 0) this.phase('draft', draftMs)
    this.phase('control', controlMs)
    this.#metrics.wastedDraftSeconds.inc(this.#labels, wastedMs / 1_000)
  }

  #drafted({ method, drafted, accepted }: SpeculationFigures['rounds'][number]): void {
    this.#metrics.draftRounds.inc(this.#labels)
    this.#metrics.draftTokens.inc(this.#labels, drafted)
    this.#metrics.acceptedTokens.inc(this.#labels, accepted)
    this.#metrics.draftsByMethod.inc({ ...this.#labels, method })
    this.#metrics.acceptanceLength.observe(this.#labels, 1 + accepted)
    for (let position = 0; position < accepted; position++)
      this.#metrics.acceptedByPosition.inc({ ...this.#labels, position })
  }

  /** At one place of a draft: was a token of it accepted, and how likely would the best possible verifier have made that. */
  sampledAcceptance(place: { readonly accepted: boolean; readonly best: number }): void {
    this.#metrics.acceptanceSampled.inc(this.#labels, place.accepted ? 1 : 0)
    this.#metrics.acceptanceBest.inc(this.#labels, place.best)
  }

  proposerDropped(method: ProposerMethod): void {
    this.#metrics.proposersDropped.inc({ ...this.#labels, method })
  }

  memoryAvailable(bytes: number): void {
    this.#metrics.memoryAvailable.set(this.#labels, bytes)
  }

  preempted(): void {
    this.#metrics.preemptions.inc(this.#labels)
  }

  resent(events: number): void {
    this.#metrics.resends.inc(this.#labels, events)
  }

  placed(job: Job, now: number): void {
    const { prompt } = job.request
    this.#metrics.prefixCacheQueries.inc(this.#labels, prompt.length)
    this.#metrics.prefixCacheHits.inc(this.#labels, job.cachedTokens)
    this.#metrics.promptTokens.inc(this.#labels, prompt.length)
    this.#metrics.requestPromptTokens.observe(this.#labels, prompt.length)
    this.#metrics.queueTime.observe(this.#labels, (now - job.times.acceptedAt) / 1_000)
  }

  firstToken(job: Job, now: number): void {
    this.#metrics.timeToFirstToken.observe(this.#labels, (now - job.times.acceptedAt) / 1_000)
    this.#metrics.prefillTime.observe(this.#labels, (now - (job.times.startedAt ?? now)) / 1_000)
  }

  /** `gained` tokens of one sequence, `sinceMs` after its last ones (null: these are its first). */
  tokens(gained: number, sinceMs: number | null): void {
    this.#metrics.generationTokens.inc(this.#labels, gained)
    if (sinceMs !== null) this.#metrics.interTokenLatency.observe(this.#labels, sinceMs / 1_000 / gained)
  }

  ended(job: Job, now: number): void {
    const { acceptedAt, startedAt, firstTokenAt } = job.times
    const reason = job.end?.kind === 'completed' ? (job.leader.finish ?? 'stop') : 'abort'
    if (job.end?.kind !== 'failed') this.#metrics.requestSuccess.inc({ ...this.#labels, finished_reason: reason })
    if (job.end?.kind !== 'completed' || startedAt === null || firstTokenAt === null) return
    const tokens = job.generatedTokens
    const decodeMs = now - firstTokenAt
    this.#metrics.endToEndLatency.observe(this.#labels, (now - acceptedAt) / 1_000)
    this.#metrics.inferenceTime.observe(this.#labels, (now - startedAt) / 1_000)
    this.#metrics.decodeTime.observe(this.#labels, decodeMs / 1_000)
    this.#metrics.requestGenerationTokens.observe(this.#labels, tokens)
    const perChoice = tokens / job.choices.length
    if (perChoice > 1) this.#metrics.timePerOutputToken.observe(this.#labels, decodeMs / 1_000 / (perChoice - 1))
  }
}
