/**
 * Every message that crosses NATS: schema, type, and what it promises.
 *
 * All are JSON. Receivers parse with the schema and trust the types from there on; unknown fields are ignored, so fields may
 * be added within a protocol version. Times are durations, never wall-clock instants: clock skew between machines never matters.
 */
import * as z from 'zod'
import { FailureMessage } from './failure.ts'
import { DeploymentName, DispatchId, RequestId, Revision, RouteName, RouterId, TenantId, WorkerId } from './ids.ts'
import { limits } from './limits.ts'
import { Sampling } from './sampling.ts'

// ---------------------------------------------------------------- router → worker

export const ChatMessage = z.object({
  role: z.string().min(1).max(64),
  content: z.string(),
  name: z.string().max(256).optional(),
})
export type ChatMessage = z.infer<typeof ChatMessage>

export const Work = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('chat'), messages: z.array(ChatMessage).min(1).max(limits.request.messagesMax) }),
  z.object({
    kind: z.literal('completion'),
    prompt: z.union([z.string(), z.array(z.int().nonnegative())]),
    echo: z.boolean(),
  }),
  z.object({
    kind: z.literal('embedding'),
    inputs: z
      .array(z.union([z.string(), z.array(z.int().nonnegative())]))
      .min(1)
      .max(limits.request.embeddingInputsMax),
  }),
])
export type Work = z.infer<typeof Work>

/**
 * Run this. The worker answers at once on the router's stream with `accepted` or `refused`; after `accepted` it sends exactly
 * one `final`, whatever happens, unless it dies. A dispatch id seen before is answered from what is known of it, never run again.
 */
export const Dispatch = z.object({
  id: DispatchId,
  requestId: RequestId,
  router: RouterId,
  tenant: TenantId,
  priority: z.int(),
  /** Time left until the first token must have been sent; the worker expires the request after it. */
  deadlineMs: z.number().positive(),
  /** Independent samples of one prompt (OpenAI's `n`); sample i uses seed + i. */
  choices: z.int().min(1).max(limits.request.choicesMax),
  /** 0: a delta each step. Else deltas may be gathered this long, from the acceptance on (non-streaming requests: nobody reads them earlier). */
  deltaIntervalMs: z.number().nonnegative(),
  work: Work,
  /** How long it waited before it was sent; absent: nobody says. */
  waitedMs: z.number().nonnegative().optional(),
  /** Which of the deployment's experts computes it; absent: none, the model as it is. */
  expert: z.string().optional(),
  sampling: Sampling,
  /** What the answer may repeat, such as another model's answer to the same question: drafts are taken from it. It changes no token. */
  hint: z.string().max(limits.request.hintCharactersMax).optional(),
})
export type Dispatch = z.infer<typeof Dispatch>

/** Stop this within one step. A cancel for an unknown id is remembered for a while: it may have overtaken its dispatch. */
export const Cancel = z.object({
  id: DispatchId,
  reason: z.enum(['client-left', 'deadline', 'superseded', 'shutdown']),
})
export type Cancel = z.infer<typeof Cancel>

/** Send the events of these requests again from event number `from`. Unknown ids are answered with a `final` of code `worker-lost`. */
export const Resend = z.object({
  router: RouterId,
  requests: z.array(z.object({ id: DispatchId, from: z.int().nonnegative() })).max(4_096),
})
export type Resend = z.infer<typeof Resend>

/** Which expert is this text for? Answered at once, or not at all; asked again it gives the same answer. */
export const GateQuestion = z.object({
  router: RouterId,
  /** The router's own number for it. */
  number: z.int().nonnegative(),
  /** Of the gate that is asked (`ModelRecord.gate`): a worker with another one stays silent. */
  gate: z.string(),
  /** What `algorithms/preGate/gatedText.ts` takes of a request. */
  text: z.union([
    z.string().max(limits.experts.gateCharactersMax),
    z.array(z.int().nonnegative()).max(limits.experts.gateCharactersMax),
  ]),
})
export type GateQuestion = z.infer<typeof GateQuestion>

export const Drain = z.object({ graceMs: z.number().nonnegative() })
export type Drain = z.infer<typeof Drain>

// ---------------------------------------------------------------- worker → router

export const FinishReason = z.enum(['stop', 'length'])
export type FinishReason = z.infer<typeof FinishReason>

export const TokenLogprob = z.object({
  token: z.string(),
  bytes: z.array(z.int().min(0).max(255)),
  logprob: z.number(),
  top: z.array(z.object({ token: z.string(), bytes: z.array(z.int().min(0).max(255)), logprob: z.number() })),
})
export type TokenLogprob = z.infer<typeof TokenLogprob>

/** What one choice gained. `text` is valid UTF-8 of whole characters and may be empty while a character or stop string is open. */
export const ChoiceDelta = z.object({
  index: z.int().min(0),
  text: z.string(),
  /** Ids of the tokens gained (a resume elsewhere continues from them); those held back in `text` are included. */
  tokens: z.array(z.int()),
  logprobs: z.array(TokenLogprob).optional(),
  finish: FinishReason.optional(),
})
export type ChoiceDelta = z.infer<typeof ChoiceDelta>

export const Usage = z.object({
  promptTokens: z.int().nonnegative(),
  completionTokens: z.int().nonnegative(),
  /** Prompt tokens restored from the prefix cache instead of computed. */
  cachedTokens: z.int().nonnegative(),
  /** Speculation: drafts proposed and accepted for this request. */
  draftTokens: z.int().nonnegative(),
  acceptedTokens: z.int().nonnegative(),
  /** Measured by the worker on its own clock. */
  waitMs: z.number().nonnegative(),
  promptMs: z.number().nonnegative(),
  generationMs: z.number().nonnegative(),
})
export type Usage = z.infer<typeof Usage>

export const Outcome = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('completed'), usage: Usage, embeddings: z.array(z.array(z.number())).optional() }),
  z.object({ kind: z.literal('cancelled'), usage: Usage }),
  z.object({ kind: z.literal('failed'), failure: FailureMessage }),
])
export type Outcome = z.infer<typeof Outcome>

/**
 * One thing that happened to one dispatch. `number` counts the events of this dispatch from 0 without gaps: a receiver that
 * misses one asks for it (`Resend`), and one that sees one twice drops it.
 */
export const RequestEvent = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('accepted'), id: DispatchId, number: z.int(), promptTokens: z.int().optional() }),
  /** Nothing was run. The router may try elsewhere. Always event 0, and the last. */
  z.object({ kind: z.literal('refused'), id: DispatchId, number: z.int(), failure: FailureMessage }),
  z.object({ kind: z.literal('delta'), id: DispatchId, number: z.int(), choices: z.array(ChoiceDelta) }),
  /** The last event; may carry the last deltas. */
  z.object({
    kind: z.literal('final'),
    id: DispatchId,
    number: z.int(),
    choices: z.array(ChoiceDelta),
    outcome: Outcome,
  }),
])
export type RequestEvent = z.infer<typeof RequestEvent>

/** One message per router and engine step: the events of all its requests, so message count does not grow with streams. */
export const StepFrame = z.object({ worker: WorkerId, events: z.array(RequestEvent) })
export type StepFrame = z.infer<typeof StepFrame>

export const GateAnswer = z.object({
  number: z.int().nonnegative(),
  /** Null: the model without an expert. */
  expert: z.string().nullable(),
  probability: z.number().min(0).max(1),
})
export type GateAnswer = z.infer<typeof GateAnswer>

// ---------------------------------------------------------------- reports

/** Decode time by batch shape: `ms[c][r]` for `contexts[c]` tokens per sequence and `rows[r]` batch rows (`algorithms/costCurve.ts`). */
export const CostCurveMessage = z.object({
  rows: z.array(z.int().positive()),
  contexts: z.array(z.int().nonnegative()),
  ms: z.array(z.array(z.number().positive())),
  promptTokensPerSecond: z.number().positive(),
  /** prior: a guess; cached: measured in an earlier life; measured: by this process. */
  origin: z.enum(['prior', 'cached', 'measured']),
})
export type CostCurveMessage = z.infer<typeof CostCurveMessage>

/** How a worker stands; every `limits.worker.reportIntervalMs` and on change. Only the newest counts (`number` grows). */
export const WorkerReport = z.object({
  worker: WorkerId,
  deployment: DeploymentName,
  revision: Revision,
  number: z.int().nonnegative(),
  state: z.enum(['loading', 'ready', 'draining', 'stopped']),
  /** `total`: how many may be busy now, fewer than the engine has where `spec.slo.admission` keeps some shut. */
  slots: z.object({ total: z.int(), busy: z.int(), waiting: z.int() }),
  cells: z.object({ total: z.int(), used: z.int() }),
  /** Prompt tokens accepted but not yet computed. */
  promptTokensPending: z.int().nonnegative(),
  /** Chained digests of the prompts whose state the prefix cache holds (`algorithms/prefixDigest.ts`), newest first. */
  prefixes: z.array(z.string()).max(limits.worker.prefixDigestsMax),
  costCurve: CostCurveMessage.optional(),
  /** Tokens gained per verify step, bonus token included; 1 without speculation. */
  acceptanceLength: z.number().min(1),
  tokensPerSecond: z.number().nonnegative(),
  /** Adapters in memory, the one that was attached last at the end. */
  experts: z.array(z.string()),
  /** What loading one takes, as measured here; absent: none was loaded yet. */
  expertLoadMs: z.number().nonnegative().optional(),
})
export type WorkerReport = z.infer<typeof WorkerReport>

/**
 * What routers see as demand; the operator folds these for status and scaling. A deployment that is not in it has none at all.
 * Counts are of the time since this router's last report.
 */
export const RouterReport = z.object({
  router: RouterId,
  deployments: z.array(
    z.object({
      deployment: DeploymentName,
      /** Requests in the queue, held ones included. */
      queued: z.int().nonnegative(),
      /** Of those: there is no worker at all, and one is to be started for them. */
      held: z.int().nonnegative().default(0),
      running: z.int().nonnegative(),
      /** Mean. */
      queueWaitMs: z.number().nonnegative(),
      /** From arrival to dispatch, as a histogram (`algorithms/waitHistogram.ts`). */
      queueWaits: z.array(z.int().nonnegative()).max(limits.queue.waitStepsMax).default([]),
      sloGoodput: z.number().nonnegative(),
      /** Requests that ended and count for goodput, and those of them that met their SLO. */
      offered: z.int().nonnegative().default(0),
      met: z.int().nonnegative().default(0),
    }),
  ),
})
export type RouterReport = z.infer<typeof RouterReport>

/** router → operator: whether an answer that a cascade kept was right, as its client says. At most once per answer; one that is lost is no harm. */
export const RouteLabel = z.object({
  route: RouteName,
  /** The step that answered. */
  deployment: DeploymentName,
  /** `CascadeGuarantee.calibration` of when it was kept. */
  calibration: z.string().min(1).max(64),
  correct: z.boolean(),
})
export type RouteLabel = z.infer<typeof RouteLabel>

/** router → every router: a label of an answer that it does not remember; whoever gave it does. */
export const PassedLabel = z.object({ request: RequestId, tenant: TenantId, correct: z.boolean() })
export type PassedLabel = z.infer<typeof PassedLabel>

/**
 * router → every router, while requests wait in one of them: tenants get their shares of a deployment over all routers together only where
 * each router knows who waits elsewhere and what they were served. Of a deployment that is not in it nobody waits.
 */
export const TenantsNews = z.object({
  router: RouterId,
  deployments: z.array(
    z.object({
      deployment: DeploymentName,
      tenants: z
        .array(
          z.object({
            tenant: TenantId,
            weight: z.number().positive(),
            /** Highest of those that wait there; null: none does. */
            priority: z.int().nullable(),
            /** Tokens that this router had served to it since it began to count: a message that is lost is made good by the next. */
            served: z.number(),
            /** Requests of it that this router had taken from its line. 0: a router that does not say, and is not waited for long. */
            taken: z.number().default(0),
          }),
        )
        .max(limits.queue.sharedTenantsMax),
    }),
  ),
})
export type TenantsNews = z.infer<typeof TenantsNews>
