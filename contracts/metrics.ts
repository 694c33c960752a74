/**
 * Every metric that Paceline exports: name, meaning, kind, labels, buckets. Dashboards, alerts and code take names from here.
 *
 * Workers use vLLM's names, so that existing scorers, autoscaling rules and dashboards work unchanged; router and operator use
 * `paceline_`. Base units (seconds, bytes, tokens); `_total` on counters. Labels are tags of outcome unions or bounded names:
 * never a key, a prompt or a free text.
 */
import { calibrationMetrics } from './calibrationMetrics.ts'
import { routerExpertMetrics, workerExpertMetrics } from './expertMetrics.ts'
import { buckets, define, type MetricDefinition } from './metricDefinition.ts'
import { pickMetrics } from './pickMetrics.ts'
import { riskMetrics } from './riskMetrics.ts'
import { routeMetrics } from './routeMetrics.ts'

export { buckets, type MetricDefinition } from './metricDefinition.ts'

const engineLabels = ['model_name', 'engine'] as const
const vllm = <const N extends string, const K extends 'counter' | 'gauge'>(name: N, kind: K, help: string) =>
  define({ name: `vllm:${name}` as const, kind, help, labels: engineLabels })
const vllmHistogram = <const N extends string>(name: N, help: string, list: readonly number[]) =>
  define({ name: `vllm:${name}` as const, kind: 'histogram', help, labels: engineLabels, buckets: list })

/** `engine` is `llamacpp` or `simulated`: a simulated figure never looks like a real one. */
export const workerMetrics = {
  ...workerExpertMetrics,
  requestsRunning: vllm('num_requests_running', 'gauge', 'Requests that hold a slot.'),
  requestsWaiting: vllm('num_requests_waiting', 'gauge', 'Requests accepted that wait for a slot.'),
  kvCacheUsage: vllm('kv_cache_usage_perc', 'gauge', 'Share of KV cells in use, 0 to 1.'),
  prefixCacheQueries: vllm('prefix_cache_queries_total', 'counter', 'Prompt tokens looked up in the prefix cache.'),
  prefixCacheHits: vllm('prefix_cache_hits_total', 'counter', 'Prompt tokens restored from the prefix cache.'),
  preemptions: vllm('num_preemptions_total', 'counter', 'Sequences whose cells were taken and recomputed later.'),
  promptTokens: vllm('prompt_tokens_total', 'counter', 'Prompt tokens processed, restored ones included.'),
  generationTokens: vllm('generation_tokens_total', 'counter', 'Tokens generated.'),
  requestSuccess: define({
    name: 'vllm:request_success_total',
    kind: 'counter',
    help: 'Requests completed, by finish reason.',
    labels: [...engineLabels, 'finished_reason'],
  }),
  timeToFirstToken: vllmHistogram('time_to_first_token_seconds', 'From acceptance to the first token.', buckets.ttft),
  interTokenLatency: vllmHistogram(
    'inter_token_latency_seconds',
    'Between two tokens of one sequence.',
    buckets.interToken,
  ),
  timePerOutputToken: vllmHistogram(
    'request_time_per_output_token_seconds',
    'Mean time per token of a request.',
    buckets.interToken,
  ),
  endToEndLatency: vllmHistogram('e2e_request_latency_seconds', 'From acceptance to the end.', buckets.latency),
  queueTime: vllmHistogram('request_queue_time_seconds', 'From acceptance to a slot.', buckets.latency),
  prefillTime: vllmHistogram('request_prefill_time_seconds', 'From a slot to the first token.', buckets.latency),
  decodeTime: vllmHistogram('request_decode_time_seconds', 'From the first token to the last.', buckets.latency),
  inferenceTime: vllmHistogram('request_inference_time_seconds', 'From a slot to the end.', buckets.latency),
  requestPromptTokens: vllmHistogram('request_prompt_tokens', 'Prompt tokens per request.', buckets.tokens),
  requestGenerationTokens: vllmHistogram('request_generation_tokens', 'Generated tokens per request.', buckets.tokens),
  iterationTokens: vllmHistogram('iteration_tokens_total', 'Batch rows per engine step.', buckets.iteration),
  cacheConfig: define({
    name: 'vllm:cache_config_info',
    kind: 'gauge',
    help: 'KV cache geometry; always 1.',
    labels: [...engineLabels, 'block_size', 'num_gpu_blocks', 'cache_dtype'],
  }),
  draftRounds: vllm('spec_decode_num_drafts_total', 'counter', 'Verify steps that carried a draft.'),
  draftTokens: vllm('spec_decode_num_draft_tokens_total', 'counter', 'Tokens drafted.'),
  acceptedTokens: vllm('spec_decode_num_accepted_tokens_total', 'counter', 'Drafted tokens accepted.'),
  acceptedByPosition: define({
    name: 'vllm:spec_decode_num_accepted_tokens_per_pos_total',
    kind: 'counter',
    help: 'Drafted tokens accepted, by their position in the draft, from 0.',
    labels: [...engineLabels, 'position'],
  }),
  draftsByMethod: define({
    name: 'paceline_worker_drafts_total',
    kind: 'counter',
    help: 'Verify steps of a sequence that carried a draft, by who proposed it.',
    labels: [...engineLabels, 'method'],
  }),
  acceptanceLength: define({
    name: 'paceline_worker_acceptance_length',
    kind: 'histogram',
    help: 'Tokens gained by a sequence in a step that verified a draft, the bonus token included.',
    labels: engineLabels,
    buckets: buckets.draft,
  }),
  draftLength: define({
    name: 'paceline_worker_draft_length',
    kind: 'histogram',
    help: 'Tokens that the controller chose to verify for a running sequence in a step; 0: none.',
    labels: engineLabels,
    buckets: [0, ...buckets.draft],
  }),
  acceptanceSampled: define({
    name: 'paceline_worker_acceptance_sampled_total',
    kind: 'counter',
    help: 'Of a sample of places where drafts were judged (one in 64): those where one of them was accepted.',
    labels: engineLabels,
  }),
  acceptanceBest: define({
    name: 'paceline_worker_acceptance_best_total',
    kind: 'counter',
    help: 'The same places: how many the best possible verifier would have accepted on average, given the same drafts (α*).',
    labels: engineLabels,
  }),
  wastedDraftSeconds: define({
    name: 'paceline_worker_wasted_draft_seconds_total',
    kind: 'counter',
    help: 'Time spent on proposing and verifying tokens that were not accepted; verifying by the cost curve.',
    labels: engineLabels,
  }),
  proposersDropped: define({
    name: 'paceline_worker_proposers_dropped_total',
    kind: 'counter',
    help: 'Proposers of draft tokens that were given up (they failed, or memory ran short) or could not be opened, by method.',
    labels: [...engineLabels, 'method'],
  }),
  stepSeconds: define({
    name: 'paceline_worker_step_seconds',
    kind: 'histogram',
    help: 'One engine step, by phase: plan, draft, control (choosing how much to draft), decode, sample, emit.',
    labels: [...engineLabels, 'phase'],
    buckets: [0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
  }),
  threads: define({
    name: 'paceline_worker_threads',
    kind: 'gauge',
    help: 'Compute threads in use.',
    labels: engineLabels,
  }),
  prefixCacheBytes: define({
    name: 'paceline_worker_prefix_cache_bytes',
    kind: 'gauge',
    help: 'Host memory held by the prefix cache.',
    labels: engineLabels,
  }),
  memoryAvailable: define({
    name: 'paceline_worker_memory_available_bytes',
    kind: 'gauge',
    help: 'Main memory that this worker may still take: what its control groups (the container) and the machine leave it. Linux only.',
    labels: engineLabels,
  }),
  resends: define({
    name: 'paceline_worker_resent_events_total',
    kind: 'counter',
    help: 'Events sent again on request.',
    labels: engineLabels,
  }),
} as const satisfies Record<string, MetricDefinition>

/** How a request ended, as the router counts it; the tags of its outcome union. */
export const requestOutcomes = ['completed', 'invalid', 'refused', 'expired', 'aborted', 'cancelled', 'failed'] as const
/** Why a request missed its SLO; exactly one cause per lost request (`wasted-draft`, `escalated-twice` come with their parts). */
export const goodputLosses = [
  'refused',
  'expired',
  'late-first-token',
  'late-tokens',
  'failed',
  'wasted-draft',
  'escalated-twice',
] as const

export const routerMetrics = {
  ...routeMetrics,
  ...riskMetrics,
  ...pickMetrics,
  ...routerExpertMetrics,
  requests: define({
    name: 'paceline_requests_total',
    kind: 'counter',
    help: 'Requests by final outcome and HTTP status.',
    labels: ['model', 'endpoint', 'outcome', 'status'],
  }),
  running: define({
    name: 'paceline_requests_running',
    kind: 'gauge',
    help: 'Requests dispatched and not yet ended.',
    labels: ['model'],
  }),
  queueDepth: define({
    name: 'paceline_queue_depth',
    kind: 'gauge',
    help: 'Requests waiting in the queue.',
    labels: ['model'],
  }),
  queueBytes: define({
    name: 'paceline_queue_bytes',
    kind: 'gauge',
    help: 'Bytes of the requests waiting.',
    labels: ['model'],
  }),
  held: define({
    name: 'paceline_requests_held',
    kind: 'gauge',
    help: 'Requests waiting for a deployment that sleeps, until a worker of it is started.',
    labels: ['model'],
  }),
  holdSeconds: define({
    name: 'paceline_hold_seconds',
    kind: 'histogram',
    help: 'How long a request was held for a sleeping deployment, by how that ended (placed, expired, left).',
    labels: ['model', 'outcome'],
    buckets: buckets.latency,
  }),
  queueWait: define({
    name: 'paceline_queue_wait_seconds',
    kind: 'histogram',
    help: 'From arrival to dispatch.',
    labels: ['model'],
    buckets: buckets.latency,
  }),
  timeToFirstToken: define({
    name: 'paceline_time_to_first_token_seconds',
    kind: 'histogram',
    help: 'From arrival to the first token written.',
    labels: ['model'],
    buckets: buckets.ttft,
  }),
  interToken: define({
    name: 'paceline_inter_token_seconds',
    kind: 'histogram',
    help: 'Between two deltas written to one client.',
    labels: ['model'],
    buckets: buckets.interToken,
  }),
  duration: define({
    name: 'paceline_request_duration_seconds',
    kind: 'histogram',
    help: 'From arrival to the last byte.',
    labels: ['model'],
    buckets: buckets.latency,
  }),
  dispatchOverhead: define({
    name: 'paceline_dispatch_overhead_seconds',
    kind: 'histogram',
    help: "The router's own time from body read to dispatch, queueing excluded.",
    labels: ['model'],
    buckets: buckets.overhead,
  }),
  promptTokens: define({
    name: 'paceline_prompt_tokens_total',
    kind: 'counter',
    help: 'Prompt tokens of completed requests.',
    labels: ['model', 'tenant'],
  }),
  cachedTokens: define({
    name: 'paceline_cached_prompt_tokens_total',
    kind: 'counter',
    help: 'Prompt tokens restored from a prefix cache.',
    labels: ['model', 'tenant'],
  }),
  completionTokens: define({
    name: 'paceline_completion_tokens_total',
    kind: 'counter',
    help: 'Tokens generated for clients.',
    labels: ['model', 'tenant'],
  }),
  sloGood: define({
    name: 'paceline_slo_good_requests_total',
    kind: 'counter',
    help: 'Requests that met every limit of their SLO.',
    labels: ['model', 'tenant'],
  }),
  sloLost: define({
    name: 'paceline_slo_lost_requests_total',
    kind: 'counter',
    help: 'Requests that did not, by cause.',
    labels: ['model', 'tenant', 'cause'],
  }),
  retries: define({
    name: 'paceline_retries_total',
    kind: 'counter',
    help: 'Dispatches tried again on another worker, by cause.',
    labels: ['model', 'cause'],
  }),
  resends: define({
    name: 'paceline_resend_requests_total',
    kind: 'counter',
    help: 'Gaps or silences after which events were asked for again.',
    labels: ['cause'],
  }),
  duplicates: define({
    name: 'paceline_duplicate_events_total',
    kind: 'counter',
    help: 'Events received twice and dropped.',
    labels: [],
  }),
  workers: define({
    name: 'paceline_workers',
    kind: 'gauge',
    help: 'Workers as this router sees them.',
    labels: ['model', 'state'],
  }),
  natsConnected: define({
    name: 'paceline_nats_connected',
    kind: 'gauge',
    help: '1 while NATS is connected.',
    labels: [],
  }),
  natsReconnects: define({
    name: 'paceline_nats_reconnects_total',
    kind: 'counter',
    help: 'Reconnects to NATS.',
    labels: [],
  }),
  backpressure: define({
    name: 'paceline_slow_reader_pauses_total',
    kind: 'counter',
    help: 'Times a slow client was paused.',
    labels: [],
  }),
} as const satisfies Record<string, MetricDefinition>

export const operatorMetrics = {
  ...calibrationMetrics,
  reconciles: define({
    name: 'paceline_operator_reconciles_total',
    kind: 'counter',
    help: 'Reconciles by result.',
    labels: ['result'],
  }),
  reconcileSeconds: define({
    name: 'paceline_operator_reconcile_seconds',
    kind: 'histogram',
    help: 'Time of one reconcile.',
    labels: [],
    buckets: buckets.reconcile,
  }),
  deployments: define({
    name: 'paceline_operator_deployments',
    kind: 'gauge',
    help: 'Deployments by roll-up condition.',
    labels: ['state'],
  }),
  replicas: define({
    name: 'paceline_operator_replicas',
    kind: 'gauge',
    help: 'Worker replicas.',
    labels: ['deployment', 'state'],
  }),
  replicasWanted: define({
    name: 'paceline_operator_replicas_wanted',
    kind: 'gauge',
    help: 'Worker replicas wanted now: as the resource says, or as the autoscaler decided.',
    labels: ['deployment'],
  }),
  rollbacks: define({
    name: 'paceline_operator_rollbacks_total',
    kind: 'counter',
    help: 'Revisions given up for the last good one.',
    labels: ['deployment'],
  }),
  restarts: define({
    name: 'paceline_operator_worker_restarts_total',
    kind: 'counter',
    help: 'Workers started again after they ended by themselves.',
    labels: ['deployment'],
  }),
  downloads: define({
    name: 'paceline_operator_model_downloads_total',
    kind: 'counter',
    help: 'Model downloads by result.',
    labels: ['result'],
  }),
  downloadBytes: define({
    name: 'paceline_operator_model_download_bytes_total',
    kind: 'counter',
    help: 'Bytes of model files fetched.',
    labels: [],
  }),
  leader: define({
    name: 'paceline_operator_leader',
    kind: 'gauge',
    help: '1 while this operator leads and writes, 0 while it stands by (cluster only).',
    labels: [],
  }),
  apiRequests: define({
    name: 'paceline_operator_api_requests_total',
    kind: 'counter',
    help: 'Requests to the Kubernetes API server, by verb and HTTP status; watches are not among them.',
    labels: ['verb', 'status'],
  }),
  watchEvents: define({
    name: 'paceline_operator_watch_events_total',
    kind: 'counter',
    help: 'What happened to the watches of the Kubernetes API: lists, watches begun, events told, errors.',
    labels: ['kind'],
  }),
  workqueueDepth: define({
    name: 'paceline_operator_workqueue_depth',
    kind: 'gauge',
    help: 'Keys waiting to be reconciled.',
    labels: [],
  }),
} as const satisfies Record<string, MetricDefinition>
