/**
 * `ModelDeployment`: one pair, everything that serves it, one unit of rollout.
 *
 * The schema is the truth: the CRD is generated from it, the local platform parses files with it. Unknown keys are refused
 * (a misspelt field must not be silently ignored). Fields that a later version carries out are accepted and named by
 * `fieldsWithoutEffect`, from which a condition tells the user.
 */
import * as z from 'zod'
import { limits } from '../limits.ts'
import { Sampling } from '../sampling.ts'
import { Engine } from './engine.ts'
import { apiVersion, conditionOf, conditionsOf, dnsLabel, nameRule, OwnMetadata, ServedName } from './metadata.ts'
import { ModelFile } from './modelFile.ts'
import { PodTemplate, Resources } from './podTemplate.ts'
import { hinted, namedListOf, ruled, setOf } from './rules.ts'
import { Replicas, replicasDefault, Rollout, Scaling } from './scaling.ts'

export { Engine, Fault, SimulatedSettings } from './engine.ts'
export { apiVersion, group, Metadata } from './metadata.ts'
export { ModelFile, Sha256, Source } from './modelFile.ts'
export { PodTemplate, Resources } from './podTemplate.ts'
export { Rollout, type Scale, Scaling, scaleOf } from './scaling.ts'

export const Slo = z.strictObject({
  ttftMs: z.number().positive().max(3_600_000).default(1_000).describe('First token within this many milliseconds …'),
  tpotMs: z.number().positive().max(3_600_000).default(100).describe('… and then this many per token on average.'),
  admission: z
    .enum(['slots', 'goodput'])
    .default('slots')
    .describe(
      'Who runs at once: `slots`: as many as the engine has slots; `goodput`: as many as still have their tokens within `tpotMs`, as measured, while the others wait in their routers. Changes live.',
    ),
})

const guard = (klMax: number) =>
  z
    .strictObject({
      klMax: z
        .number()
        .positive()
        .max(100)
        .default(klMax)
        .describe('Mean divergence (KL) from the uncompressed model; switched off where it is over this.'),
    })
    .prefault({})
    .describe('The measured bound under which it stays on.')

/** YAML as `kubectl` reads it has `off` and `on` as booleans. */
const quoteOff = ({ input }: { input?: unknown }) =>
  typeof input === 'boolean' ? `quote it, "${input ? 'on' : 'off'}": without quotes it is a boolean` : undefined

const Compression = z.strictObject({
  kvCache: z
    .strictObject({
      type: z
        .enum(['auto', 'f16', 'bf16', 'q8_0'])
        .default('auto')
        .describe('`auto`: f16, or q8_0 with `engine.reproducible`.'),
      cold: z.enum(['raw', 'gear4', 'gear2']).default('raw').describe('How cells that are not read soon are kept.'),
      guard: guard(0.02),
    })
    .prefault({})
    .describe('The KV cache.'),
  weights: z
    .strictObject({
      budgetBits: z.number().min(1).max(16).describe('Bits per weight on average.'),
      search: z.enum(['evolutionary']).default('evolutionary').describe('How bits are shared out over layers.'),
      guard: guard(0.1),
    })
    .optional()
    .describe('Weights below the published file.'),
})

export const Speculation = z.strictObject({
  method: z
    .enum(['auto', 'off', 'draft', 'ngram', 'trigram'], { error: quoteOff })
    .default('auto')
    .describe(
      'Who proposes tokens: `draft`: the draft model; `ngram`: what followed the same words before; `trigram`: that and a table. `auto`: whichever of them pays. Changes live. Write `"off"` with its quotes.',
    ),
  draftTokensMax: z
    .int()
    .min(1)
    .max(64)
    .default(8)
    .describe('The controller chooses 0 to this many each step. Changes live.'),
  controller: z
    .enum(['goodput', 'fixed', 'threshold'])
    .default('goodput')
    .describe('Who chooses how many: by measured cost and acceptance, always `draftTokensMax`, or by confidence.'),
  table: ModelFile.optional().describe(
    'A tri-gram table for the target’s tokenizer, made by `paceline calibrate trigram`; without one the method `trigram` knows only the text of the request.',
  ),
  acceptance: ModelFile.optional().describe(
    'What the target takes of this draft’s tokens, learned by `paceline calibrate acceptance` for just this target and this draft; without it the draft’s own probabilities count.',
  ),
})
export type Speculation = z.infer<typeof Speculation>

/** What running workers follow; the files beside it are given to them at their start. */
export const LiveSpeculation = Speculation.omit({ table: true, acceptance: true })
export type LiveSpeculation = z.infer<typeof LiveSpeculation>

/** How clients ask for the model without an expert where a gate would choose: `model:base`. */
export const baseExpert = 'base'

const Expert = z.strictObject({
  name: z
    .string()
    .max(63)
    .regex(dnsLabel, 'a DNS label: lower-case letters, digits and "-"')
    .describe('Clients choose it as `model:name`. Not `base`, which stands for the model without any expert.'),
  adapter: ModelFile.describe('The LoRA adapter, as GGUF, made for just this target.'),
})

const Gate = z.strictObject({
  file: ModelFile.describe('What `paceline calibrate gate` wrote for this target and these experts.'),
  probabilityMin: z
    .number()
    .min(0)
    .max(1)
    .default(0)
    .describe('A prompt of which the gate is less sure gets the model without an expert. Changes live.'),
})

const { temperature, topP, topK, minP, presencePenalty, frequencyPenalty, repetitionPenalty } = Sampling.shape
const SamplingSettings = z.strictObject({
  temperature: temperature.optional().describe('0 is greedy; OpenAI’s own default is 1.'),
  topP: topP.optional().describe('Smallest set of tokens with this much probability.'),
  topK: topK.max(1_000_000).optional().describe('Only so many of the most probable tokens; 0: all.'),
  minP: minP.optional().describe('Only tokens with this share of the best one’s probability.'),
  presencePenalty: presencePenalty.optional().describe('Taken from the logit of a token that was generated before.'),
  frequencyPenalty: frequencyPenalty.optional().describe('Taken from it once for each time.'),
  repetitionPenalty: repetitionPenalty.optional().describe('Divides the logits of tokens seen before; 1: none.'),
})

const Queue = z.strictObject({
  requestsMax: z.int().min(1).max(100_000).default(512).describe('Requests waiting in each router.'),
  bytesMax: z
    .int()
    .min(1024)
    .max(1_099_511_627_776)
    .default(64 * 1024 * 1024)
    .describe('Bytes of their bodies.'),
})

const specFields = z.strictObject({
  servedNames: setOf(ServedName, 16)
    .default([])
    .describe('Further names clients may use; `metadata.name` always works.'),
  target: ModelFile.optional().describe(
    'The model whose distribution is served. Not needed where `engine.kind` is `simulated`.',
  ),
  draft: ModelFile.optional().describe(
    'A small model that proposes tokens; its vocabulary must fit the target’s, which is checked before anything starts.',
  ),
  speculation: Speculation.prefault({}).describe('Proposing tokens ahead; never changes what is answered.'),
  engine: Engine.prefault({}).describe('What runs in a worker.'),
  compression: Compression.prefault({}).describe('What is kept smaller than published, and under which bound.'),
  kvPrediction: z
    .strictObject({
      mode: z
        .enum(['off', 'on', 'auto'], { error: quoteOff })
        .default('off')
        .describe('Whether prompts are predicted. Write `"off"` and `"on"` with their quotes.'),
    })
    .prefault({})
    .describe('Predicting the KV cache of a prompt instead of computing it.'),
  experts: namedListOf(Expert, 16)
    .default([])
    .describe('LoRA adapters on the target: a request asks for one as `model:name`, or `gate` chooses one.'),
  gate: Gate.optional().describe(
    'Chooses the expert of requests that ask for the model by its plain name; without it they get the model as it is.',
  ),
  expertMemoryMiB: z
    .int()
    .min(1)
    .max(1_048_576)
    .optional()
    .describe(
      `Memory for adapters that are loaded at the same time, in MiB of their files; ${limits.experts.residentBytesMax / 2 ** 20} where it is not said.`,
    ),
  sampling: SamplingSettings.prefault({}).describe(
    'What a request gets that does not say it, as the model’s makers recommend; a change needs no new worker.',
  ),
  slo: Slo.prefault({}).describe('What counts as served well: goodput is requests per second within these.'),
  queue: Queue.prefault({}).describe('Bounds of what waits in each router.'),
  replicas: Replicas.optional().describe(
    `How many workers; ${replicasDefault} where neither this nor \`scaling\` is given. 0 stops the pair.`,
  ),
  scaling: Scaling.optional().describe('Bounds between which the number of workers follows the load.'),
  rollout: Rollout.prefault({}).describe('How a change that needs new workers replaces the old ones.'),
  resources: Resources.prefault({}).describe('Requests and limits of a worker’s container (cluster only).'),
  podTemplate: PodTemplate.prefault({}).describe('What else to say about worker pods (cluster only).'),
})

export const ModelDeploymentSpec = ruled(specFields, [
  {
    cel: '!(has(self.replicas) && has(self.scaling))',
    message: 'replicas and scaling exclude each other; remove one of them',
    path: ['replicas'],
    holds: ({ replicas, scaling }) => replicas === undefined || scaling === undefined,
  },
  {
    cel: "self.engine.kind == 'simulated' || has(self.target)",
    message: 'required unless engine.kind is simulated; name the model file to serve',
    path: ['target'],
    holds: ({ engine, target }) => engine.kind === 'simulated' || target !== undefined,
  },
  {
    cel: "self.speculation.method != 'draft' || has(self.draft)",
    message: 'speculation.method draft needs spec.draft; add it or choose another method',
    path: ['speculation', 'method'],
    holds: ({ speculation, draft }) => speculation.method !== 'draft' || draft !== undefined,
  },
  {
    cel: "self.speculation.method != 'off' || !has(self.draft)",
    message: 'not with speculation.method off: it would be loaded for nothing; remove it or choose another method',
    path: ['draft'],
    holds: ({ speculation, draft }) => speculation.method !== 'off' || draft === undefined,
  },
  {
    cel: '!has(self.speculation.acceptance) || has(self.draft)',
    message: 'speculation.acceptance is about a draft model: add spec.draft or remove it',
    path: ['speculation', 'acceptance'],
    holds: ({ speculation, draft }) => speculation.acceptance === undefined || draft !== undefined,
  },
  {
    cel: `self.experts.all(expert, expert.name != '${baseExpert}')`,
    message: 'base is how clients ask for the model without an expert; give the expert another name',
    path: ['experts'],
    holds: ({ experts }) => experts.every(({ name }) => name !== baseExpert),
  },
  {
    cel: '!has(self.gate) || size(self.experts) > 0',
    message: 'there is nothing to choose between: add spec.experts or remove it',
    path: ['gate'],
    holds: ({ gate, experts }) => gate === undefined || experts.length > 0,
  },
  {
    cel: "!self.engine.reproducible || self.compression.kvCache.type != 'f16'",
    message: 'engine.reproducible excludes an f16 cache (its results depend on the batch); use auto, q8_0 or bf16',
    path: ['compression', 'kvCache', 'type'],
    holds: ({ engine, compression }) => !engine.reproducible || compression.kvCache.type !== 'f16',
  },
  {
    cel: "!self.engine.reproducible || self.engine.kvLayout == 'split'",
    message:
      'engine.reproducible excludes the unified layout (results depend on which cells others left); use split or switch reproducible off',
    path: ['engine', 'kvLayout'],
    holds: ({ engine }) => !engine.reproducible || engine.kvLayout === 'split',
  },
  {
    cel: "!self.engine.reproducible || self.compression.kvCache.cold == 'raw'",
    message: 'engine.reproducible excludes gear (it is not exact); use raw or switch reproducible off',
    path: ['compression', 'kvCache', 'cold'],
    holds: ({ engine, compression }) => !engine.reproducible || compression.kvCache.cold === 'raw',
  },
  {
    cel: "!self.engine.reproducible || self.kvPrediction.mode == 'off'",
    message: 'engine.reproducible excludes KV prediction (it is not exact); use off or switch reproducible off',
    path: ['kvPrediction', 'mode'],
    holds: ({ engine, kvPrediction }) => !engine.reproducible || kvPrediction.mode === 'off',
  },
])
export type ModelDeploymentSpec = z.infer<typeof ModelDeploymentSpec>

/** What is accepted and changes nothing yet, and when it is set to something. */
const laterFields: Readonly<Record<string, (spec: ModelDeploymentSpec) => boolean>> = {
  'spec.compression.kvCache.cold': ({ compression }) => compression.kvCache.cold !== 'raw',
  'spec.compression.weights': ({ compression }) => compression.weights !== undefined,
  'spec.kvPrediction.mode': ({ kvPrediction }) => kvPrediction.mode !== 'off',
}
export const fieldsOfLaterVersions: readonly string[] = Object.keys(laterFields)

/** Fields that are set to something and change nothing yet, for the condition that says so. */
export function fieldsWithoutEffect(spec: ModelDeploymentSpec): string[] {
  return fieldsOfLaterVersions.filter((field) => laterFields[field]?.(spec) === true)
}

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

export const Condition = conditionOf(ConditionType)
export type Condition = z.infer<typeof Condition>

const count = () => z.int().min(0)

export const RevisionStatus = z.object({
  revision: z.string().describe('Hash of what workers of this revision are started with.'),
  createdAt: hinted(z.string(), { format: 'date-time' }).describe('When it was first asked for.'),
  state: z
    .enum(['current', 'good', 'failed'])
    .describe(
      '`current`: the newest, still on trial; `good`: it was rolled out once; `failed`: given up, and not tried again until the spec changes.',
    ),
  message: z.string().max(32_768).describe('Why it failed; else empty.'),
})
export type RevisionStatus = z.infer<typeof RevisionStatus>

export const ModelDeploymentStatus = z.object({
  conditions: conditionsOf(Condition).describe('What is true of the pair now.'),
  replicas: count().describe('Workers that exist, starting and draining ones included.'),
  readyReplicas: count().describe('Workers that answer requests.'),
  desiredReplicas: count().optional().describe('Workers wanted now: `replicas`, or what the autoscaler decided.'),
  selector: z.string().describe('Label selector of the workers, for the scale subresource.'),
  observedGeneration: count().describe('The generation that this status is about.'),
  currentRevision: z.string().describe('The revision that is fully rolled out.'),
  desiredRevision: z.string().describe('The revision that the spec asks for.'),
  revisions: z.array(RevisionStatus).max(32).optional().describe('What was asked for before, the newest first.'),
  url: z.string().describe('Where clients reach it.'),
  measured: z
    .object({
      tokensPerSecond: z.number().describe('Of all workers together.'),
      meanAcceptanceLength: z.number().describe('Tokens gained per step of a sequence; 1 without speculation.'),
      sloGoodput: z.number().describe('Requests per second that met their SLO.'),
    })
    .partial()
    .describe('Figures as of the last change of this status.'),
})
export type ModelDeploymentStatus = z.infer<typeof ModelDeploymentStatus>

export const ModelDeployment = ruled(
  z.strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal('ModelDeployment'),
    metadata: OwnMetadata,
    spec: ModelDeploymentSpec,
    status: ModelDeploymentStatus.optional(),
  }),
  [nameRule],
)
export type ModelDeployment = z.infer<typeof ModelDeployment>
