/**
 * What routers and workers count of experts. `expert` is the name of an expert of a resource, or `base` for the model without one: as
 * many as somebody declared, at most 17 of a pair.
 */
import { buckets, define, type MetricDefinition } from './metricDefinition.ts'

export const routerExpertMetrics = {
  expertRequests: define({
    name: 'paceline_expert_requests_total',
    kind: 'counter',
    help: 'Requests of pairs with experts by who computes them and why (named, gated, remembered; without an expert: unsure, late, no-worker, too-many, no-text, refused).',
    labels: ['model', 'expert', 'cause'],
  }),
  expertQueue: define({
    name: 'paceline_expert_queue_depth',
    kind: 'gauge',
    help: 'Requests that wait in the router for a slot, by expert.',
    labels: ['model', 'expert'],
  }),
  gateSeconds: define({
    name: 'paceline_gate_seconds',
    kind: 'histogram',
    help: 'From asking a pair’s gate to its answer, as far as one came in time.',
    labels: ['model'],
    buckets: buckets.overhead,
  }),
} as const satisfies Record<string, MetricDefinition>

const engineLabels = ['model_name', 'engine'] as const

export const workerExpertMetrics = {
  expertSwitches: define({
    name: 'paceline_expert_switches_total',
    kind: 'counter',
    help: 'Times that another adapter, or none, was attached for the steps that followed.',
    labels: engineLabels,
  }),
  expertLoads: define({
    name: 'paceline_expert_loads_total',
    kind: 'counter',
    help: 'Adapters read into memory: to try them at the start (`start`), because their turn had come (`needed`), or ahead of it (`ahead`).',
    labels: [...engineLabels, 'cause'],
  }),
  expertLoadSeconds: define({
    name: 'paceline_expert_load_seconds',
    kind: 'histogram',
    help: 'What loading an adapter takes.',
    labels: engineLabels,
    buckets: buckets.reconcile,
  }),
  expertBytes: define({
    name: 'paceline_expert_memory_bytes',
    kind: 'gauge',
    help: 'Adapters in memory.',
    labels: engineLabels,
  }),
  expertsRefused: define({
    name: 'paceline_experts_refused',
    kind: 'gauge',
    help: 'Adapters of the pair that this worker cannot use; requests that name them fail.',
    labels: engineLabels,
  }),
  expertYields: define({
    name: 'paceline_expert_yields_total',
    kind: 'counter',
    help: 'Sequences that gave way in the middle of their answer because the age guard of another expert’s requests demanded it.',
    labels: engineLabels,
  }),
  /** vLLM's own name and labels: adapter-aware schedulers read it. */
  loraInfo: define({
    name: 'vllm:lora_requests_info',
    kind: 'gauge',
    help: 'Adapters whose requests run and wait, as lists; the value is 1.',
    labels: ['max_lora', 'running_lora_adapters', 'waiting_lora_adapters'],
  }),
} as const satisfies Record<string, MetricDefinition>
