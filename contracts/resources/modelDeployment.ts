/**
 * `ModelDeployment`: one pair, everything that serves it, one unit of rollout.
 *
 * The schema is the truth: the CRD is generated from it, the local platform parses files with it. Unknown keys are refused
 * (a misspelt field must not be silently ignored). Fields of later milestones are accepted by the cluster's CRD only once the
 * parts that carry them out exist; until then they are refused here by name, which is better than a promise.
 */
import * as z from 'zod'

export const group = 'paceline.dev'
export const apiVersion = `${group}/v1alpha1`

/** `pypi://package@version/path/in/wheel`, `hf://owner/repo/file`, `https://…`, `file:///…`. */
export const Source = z
  .string()
  .regex(
    /^(pypi:\/\/[\w.-]+@[\w.!+-]+\/.+|hf:\/\/[\w.-]+\/[\w.-]+\/.+|https?:\/\/.+|file:\/\/\/.+)$/,
    'must be pypi://package@version/path, hf://owner/repo/file, https://… or file:///…',
  )
export type Source = z.infer<typeof Source>

export const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits')

export const ModelFile = z.strictObject({
  source: Source,
  /** Tried in order after `source`; always the same content. */
  mirrors: z.array(Source).max(8).default([]),
  sha256: Sha256,
})
export type ModelFile = z.infer<typeof ModelFile>

export const Fault = z.strictObject({
  kind: z.enum(['crash', 'stall', 'slow', 'refuse', 'garbage']),
  /** Chance per engine step (per request for `refuse`). */
  probability: z.number().min(0).max(1),
  /** `stall`: how long; `slow`: factor on step time. */
  amount: z.number().positive().default(1),
})
export type Fault = z.infer<typeof Fault>

/** A made-up engine for tests of everything around it; everything that shows its figures says that they are simulated. */
export const SimulatedSettings = z.strictObject({
  promptTokensPerSecond: z.number().positive().default(2_000),
  /** Time of a decode step with one row; `rowMs` is added for each further row. 0 = as fast as possible. */
  stepMs: z.number().nonnegative().default(10),
  rowMs: z.number().nonnegative().default(1),
  /** Chance that a drafted token is accepted; only matters with `draftTokens` > 0. */
  acceptance: z.number().min(0).max(1).default(0.7),
  draftTokens: z.int().min(0).max(64).default(0),
  seed: z.int().min(0).default(1),
  faults: z.array(Fault).default([]),
})
export type SimulatedSettings = z.infer<typeof SimulatedSettings>

export const Engine = z
  .strictObject({
    kind: z.enum(['llamacpp', 'simulated']).default('llamacpp'),
    /** Which llama.cpp libraries: `auto` takes the fastest that is installed and works. */
    backend: z.enum(['auto', 'cpu', 'cuda', 'vulkan', 'metal']).default('auto'),
    contextTokensMax: z.int().min(64).max(1_048_576).default(4096),
    slots: z.int().min(1).max(256).default(8),
    /** `auto`: the CPUs this process owns alone, changed live when step times show a neighbour. */
    threads: z.union([z.literal('auto'), z.int().min(1).max(512)]).default('auto'),
    /** Bit-identical results whatever the batch: q8_0 KV cache with flash attention, proved at start. */
    reproducible: z.boolean().default(false),
    /** `split`: one KV stream per sequence (fastest); `unified`: one buffer, sequences may share and preempt. */
    kvLayout: z.enum(['split', 'unified']).default('split'),
    /** Prompt tokens of one step while other sequences run: bounds their longest gap. */
    promptChunkTokensMax: z.int().min(1).max(4096).default(256),
    /** Host memory for the prefix cache; 0 switches it off. */
    prefixCacheMiB: z.int().min(0).max(1_048_576).default(256),
    embeddings: z.boolean().default(false),
    simulated: SimulatedSettings.optional(),
  })
  .refine((engine) => engine.simulated === undefined || engine.kind === 'simulated', {
    path: ['simulated'],
    message: 'only with engine.kind: simulated',
  })
export type Engine = z.infer<typeof Engine>

export const Slo = z.strictObject({
  /** First token within this … */
  ttftMs: z.number().positive().default(1_000),
  /** … and then this much per token on average. */
  tpotMs: z.number().positive().default(100),
})

export const ModelDeploymentSpec = z
  .strictObject({
    /** Further names clients may use; `metadata.name` always works. */
    servedNames: z
      .array(z.string().regex(/^[\w.:/-]{1,128}$/))
      .max(16)
      .default([]),
    /** Not needed where `engine.kind` is `simulated`. */
    target: ModelFile.optional(),
    engine: Engine.prefault({}),
    compression: z
      .strictObject({
        kvCache: z.strictObject({ type: z.enum(['auto', 'f16', 'bf16', 'q8_0']).default('auto') }).prefault({}),
      })
      .prefault({}),
    slo: Slo.prefault({}),
    queue: z
      .strictObject({
        requestsMax: z.int().min(1).max(100_000).default(512),
        bytesMax: z
          .int()
          .min(1024)
          .default(64 * 1024 * 1024),
      })
      .prefault({}),
    replicas: z.int().min(0).max(1_000).default(1),
  })
  .refine((spec) => spec.engine.kind === 'simulated' || spec.target !== undefined, {
    path: ['target'],
    message: 'required unless engine.kind is simulated',
  })
export type ModelDeploymentSpec = z.infer<typeof ModelDeploymentSpec>

export const ConditionType = z.enum([
  'Ready',
  'Progressing',
  'Degraded',
  'ModelCacheReady',
  'TargetReady',
  'DraftReady',
  'ExpertsReady',
  'WorkersReady',
  'CompressionApplied',
  'ScalingReady',
  'Stopped',
])
export type ConditionType = z.infer<typeof ConditionType>

export const Condition = z.object({
  type: ConditionType,
  status: z.enum(['True', 'False', 'Unknown']),
  reason: z.string().regex(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/),
  message: z.string(),
  lastTransitionTime: z.string(),
  observedGeneration: z.int(),
})
export type Condition = z.infer<typeof Condition>

export const ModelDeploymentStatus = z.object({
  conditions: z.array(Condition),
  replicas: z.int(),
  readyReplicas: z.int(),
  selector: z.string(),
  observedGeneration: z.int(),
  currentRevision: z.string(),
  desiredRevision: z.string(),
  url: z.string(),
  measured: z
    .object({ tokensPerSecond: z.number(), meanAcceptanceLength: z.number(), sloGoodput: z.number() })
    .partial(),
})
export type ModelDeploymentStatus = z.infer<typeof ModelDeploymentStatus>

export const Metadata = z.object({
  name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a DNS label: lower-case letters, digits and "-"'),
  namespace: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  generation: z.int().optional(),
})

export const ModelDeployment = z.strictObject({
  apiVersion: z.literal(apiVersion),
  kind: z.literal('ModelDeployment'),
  metadata: Metadata,
  spec: ModelDeploymentSpec,
  status: ModelDeploymentStatus.optional(),
})
export type ModelDeployment = z.infer<typeof ModelDeployment>
