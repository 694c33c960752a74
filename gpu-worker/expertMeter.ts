/** What a worker counts of its experts, under vLLM's name where it has one. The only place that touches these metrics. */
import type { ExpertRefusal } from '#contracts/records.ts'
import type { WorkerMetrics } from './meter.ts'

export type LoadCause = 'start' | 'needed' | 'ahead'
const loadCauses: readonly LoadCause[] = ['start', 'needed', 'ahead']

export interface ExpertGauges {
  /** Adapters in memory. */
  readonly bytes: number
  readonly usable: number
  readonly refused: readonly ExpertRefusal[]
  /** Experts whose requests hold slots, and wait for one. */
  readonly running: readonly (string | null)[]
  readonly waiting: readonly (string | null)[]
}

export class ExpertMeter {
  readonly #metrics: WorkerMetrics
  readonly #labels: { readonly model_name: string; readonly engine: string }
  #lora: { max_lora: number; running_lora_adapters: string; waiting_lora_adapters: string } | null = null

  constructor(metrics: WorkerMetrics, labels: { readonly model_name: string; readonly engine: string }) {
    this.#metrics = metrics
    this.#labels = labels
  }

  /** Rates and alerts need a counter before its first event. */
  begin(loadsMs: readonly number[]): void {
    const { expertSwitches, expertYields, expertLoads } = this.#metrics
    expertSwitches.inc(this.#labels, 0)
    expertYields.inc(this.#labels, 0)
    for (const cause of loadCauses) expertLoads.inc({ ...this.#labels, cause }, 0)
    for (const ms of loadsMs) this.loaded('start', ms)
  }

  switched(): void {
    this.#metrics.expertSwitches.inc(this.#labels)
  }

  loaded(cause: LoadCause, ms: number): void {
    this.#metrics.expertLoads.inc({ ...this.#labels, cause })
    this.#metrics.expertLoadSeconds.observe(this.#labels, ms / 1_000)
  }

  gaveWay(sequences: number): void {
    this.#metrics.expertYields.inc(this.#labels, sequences)
  }

  gauges({ bytes, usable, refused, running, waiting }: ExpertGauges): void {
    this.#metrics.expertBytes.set(this.#labels, bytes)
    this.#metrics.expertsRefused.set(this.#labels, refused.length)
    const lora = { max_lora: usable, running_lora_adapters: listOf(running), waiting_lora_adapters: listOf(waiting) }
    if (this.#lora !== null) this.#metrics.loraInfo.remove(this.#lora)
    this.#metrics.loraInfo.set(lora, 1)
    this.#lora = lora
  }
}

const listOf = (experts: readonly (string | null)[]) =>
  [...new Set(experts)]
    .filter((name) => name !== null)
    .sort()
    .join(',')
