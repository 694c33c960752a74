/**
 * `ModelRoute`: a model name for clients that stands for a policy over deployments.
 *
 * Exactly one strategy per route; every router carries all of them out.
 *
 * Steps, judges and targets are ModelDeployments, never routes, so routes cannot form a circle: whoever names a route in the place of a
 * deployment is told so in the route's status (`NotADeployment`), and a step's request goes to the deployment's own queue.
 */
import * as z from 'zod'
import { apiVersion, conditionOf, conditionsOf, dnsLabel, nameRule, OwnMetadata, ServedName } from './metadata.ts'
import { Risk, riskDeployments } from './riskRoute.ts'
import { hinted, ruled } from './rules.ts'

const Target = z
  .string()
  .max(63)
  .regex(dnsLabel, 'the name of a ModelDeployment')
  .describe('Name of a ModelDeployment.')

const Direct = z.strictObject({ deployment: Target })

const Weighted = hinted(
  ruled(
    z
      .array(
        z.strictObject({
          deployment: Target,
          weight: z
            .int()
            .min(0)
            .max(1_000)
            .describe('Share of requests, relative to the other weights; 0: none, even when the others cannot answer.'),
        }),
      )
      .min(1)
      .max(16),
    [
      {
        cel: 'self.exists(entry, entry.weight > 0)',
        message: 'all weights are 0: give one deployment a share',
        holds: (entries) => entries.some(({ weight }) => weight > 0),
      },
      {
        cel: 'self.all(entry, self.exists_one(other, other.deployment == entry.deployment))',
        message: 'each deployment once: add their weights up',
        holds: (entries) => new Set(entries.map(({ deployment }) => deployment)).size === entries.length,
      },
    ],
  ),
  { listType: 'atomic' },
)

const ConfigMapName = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'the name of a ConfigMap')

const Accept = z.strictObject({
  metaRanking: z
    .strictObject({
      judge: Target.optional().describe(
        'ModelDeployment that compares the answer with the references; default: the one that answered.',
      ),
      references: z
        .strictObject({
          configMap: ConfigMapName.describe(
            'ConfigMap, labelled paceline.dev/kind: calibration, whose key references.jsonl holds questions with answers known to be right or wrong.',
          ),
        })
        .describe('What answers are compared with.'),
      calibration: z
        .strictObject({
          configMap: ConfigMapName.optional().describe(
            'ConfigMap, labelled the same, whose key cascade.json holds the calibration; default: the one of the references.',
          ),
        })
        .default({})
        .describe('What paceline calibrate cascade found; without it every answer is escalated.'),
      errorRateMax: z.number().gt(0).lt(1).describe('Share of kept answers that may be wrong.'),
      confidence: z
        .number()
        .min(0.5)
        .lt(1)
        .default(0.9)
        .describe('How sure that must be, over the labels from which the threshold was chosen.'),
    })
    .describe('Keep the answer where it ranks above references that are known to be wrong.'),
})

export const cascadeWhenFull = ['answer', 'wait', 'refuse'] as const
export const streamingModes = ['buffer', 'early'] as const
export const earlyTokensDefault = 32

const Streaming = z.strictObject({
  mode: z
    .enum(streamingModes)
    .default('buffer')
    .describe(
      'buffer: judge the whole answer, then stream it. early: judge its first tokens, then go on streaming it or switch before anything was sent.',
    ),
  tokens: z
    .int()
    .min(4)
    .max(512)
    .default(earlyTokensDefault)
    .describe('After how many tokens early judges; the calibration must have been made for as many.'),
})

const Cascade = ruled(
  z.strictObject({
    steps: z
      .array(
        z.strictObject({
          deployment: Target,
          accept: Accept.optional().describe('When the answer of this step is kept; the last step has none.'),
        }),
      )
      .min(2)
      .max(8)
      .describe('Tried in order, the smallest first.'),
    escalationRateMax: z
      .number()
      .gt(0)
      .max(1)
      .default(1)
      .describe('Share of requests that may go on to the next step, over any run of them.'),
    whenFull: z
      .enum(cascadeWhenFull)
      .default('wait')
      .describe(
        'Where the next step cannot answer in time or the budget is spent. answer: give the answer that was not good enough. wait: be late, and refuse what no waiting helps. refuse: refuse.',
      ),
    streaming: Streaming.default({ mode: 'buffer', tokens: earlyTokensDefault }).describe(
      'When an answer is judged that the client reads as it is written.',
    ),
    shadow: z
      .boolean()
      .default(false)
      .describe('Judge, decide and record, and answer with the last step as if the others were not there.'),
  }),
  [
    {
      cel: '!has(self.steps[size(self.steps) - 1].accept)',
      message: 'the last step keeps every answer; remove its accept or add a step after it',
      path: ['steps'],
      holds: ({ steps }) => steps.at(-1)?.accept === undefined,
    },
    {
      cel: 'self.steps.filter(step, !has(step.accept)).size() <= 1',
      message: 'a step before the last needs accept, or nothing after it is ever asked',
      path: ['steps'],
      holds: ({ steps }) => steps.filter(({ accept }) => accept === undefined).length <= 1,
    },
    {
      cel: 'self.steps.all(step, self.steps.exists_one(other, other.deployment == step.deployment))',
      message: 'each deployment once: asking it again gives the same answer',
      path: ['steps'],
      holds: ({ steps }) => new Set(steps.map(({ deployment }) => deployment)).size === steps.length,
    },
  ],
)

const strategies = ['direct', 'weighted', 'cascade', 'risk'] as const
export type RouteStrategy = (typeof strategies)[number]

export const ModelRouteSpec = ruled(
  z.strictObject({
    name: hinted(ServedName.describe('The model name that clients use; it cannot be changed.'), {
      transitions: [
        { cel: 'self == oldSelf', message: 'the name of a route cannot be changed; make a new ModelRoute' },
      ],
    }),
    direct: Direct.optional().describe('Another name for one deployment.'),
    weighted: Weighted.optional().describe('Shares of requests, such as for a canary.'),
    cascade: Cascade.optional().describe('Smaller models first; what is not good enough goes on to the next.'),
    risk: Risk.optional().describe('One deployment, and another one for answers that are likely wrong.'),
  }),
  [
    {
      cel: `[${strategies.map((name) => `has(self.${name})`).join(', ')}].exists_one(given, given)`,
      message: `exactly one of ${strategies.join(', ')}`,
      holds: (spec) => strategies.filter((name) => spec[name] !== undefined).length === 1,
    },
  ],
)
export type ModelRouteSpec = z.infer<typeof ModelRouteSpec>
export type CascadeSpec = z.infer<typeof Cascade>
export type { Risk } from './riskRoute.ts'
export type MetaRankingSpec = z.infer<typeof Accept>['metaRanking']

/** `CalibrationReady` only where the strategy rests on a calibration. */
export const RouteConditionType = z.enum(['Ready', 'DeploymentsReady', 'CalibrationReady', 'Degraded'])
export type RouteConditionType = z.infer<typeof RouteConditionType>

export const RouteCondition = conditionOf(RouteConditionType)
export type RouteCondition = z.infer<typeof RouteCondition>

const Interval = z.object({
  lower: z.number().describe('At least.'),
  upper: z.number().describe('At most.'),
})

/** Of one step, what its calibration says and what labels said since. */
export const StepCalibration = z.object({
  deployment: z.string().describe('The ModelDeployment whose answers are kept.'),
  state: z
    .enum(['Holds', 'NoReferences', 'NoCalibration', 'Stale', 'NothingProved', 'Broken'])
    .describe('Holds: answers over the threshold are kept. Else every answer goes on to the next step.'),
  references: z.int().min(0).describe('Answers that are compared with.'),
  threshold: z.number().optional().describe('The score that an answer must be over.'),
  labels: z.int().min(0).optional().describe('Labelled answers from which the threshold was chosen.'),
  keptShare: z.number().optional().describe('Share of those that the threshold keeps.'),
  errorRate: Interval.optional().describe('Where the error rate of those lies.'),
  calibration: z.string().optional().describe('Digest of the calibration that is judged.'),
  newLabels: z.int().min(0).optional().describe('Labels that were told of kept answers since.'),
  newWrong: z.int().min(0).optional().describe('Of those, the wrong ones.'),
  alarm: z
    .object({
      sum: z.int().min(0).describe('What the labels since then come to.'),
      at: z.int().min(1).describe('The sum at which the calibration is called broken.'),
    })
    .optional()
    .describe('How near newer labels are to calling the calibration broken.'),
})
export type StepCalibration = z.infer<typeof StepCalibration>

export const ModelRouteStatus = z.object({
  conditions: conditionsOf(RouteCondition).describe('What is true of the route now.'),
  observedGeneration: z.int().min(0).describe('The generation that this status is about.'),
  calibrations: hinted(z.array(StepCalibration).max(8), { listType: 'atomic' })
    .optional()
    .describe('Of each step of a cascade that may keep answers, in order.'),
})
export type ModelRouteStatus = z.infer<typeof ModelRouteStatus>

export const ModelRoute = ruled(
  z.strictObject({
    apiVersion: z.literal(apiVersion),
    kind: z.literal('ModelRoute'),
    metadata: OwnMetadata,
    spec: ModelRouteSpec,
    status: ModelRouteStatus.optional(),
  }),
  [nameRule],
)
export type ModelRoute = z.infer<typeof ModelRoute>

/** Every ConfigMap that a route names, each once. */
export function configMapsOf({ cascade, risk }: ModelRouteSpec): string[] {
  const named = (cascade?.steps ?? []).flatMap(({ accept }) => (accept === undefined ? [] : mapsOf(accept.metaRanking)))
  const ofRisk = risk?.calibration === undefined ? [] : [risk.calibration.configMap]
  return [...new Set([...named, ...ofRisk])]
}

/** Its deployments' models matter to it, not only whether they are there. */
export const restsOnCalibration = ({ cascade, risk }: ModelRouteSpec) => cascade !== undefined || risk !== undefined

/** Where the references and the calibration of a step are. */
function mapsOf({ references, calibration }: MetaRankingSpec): string[] {
  return [references.configMap, calibration.configMap ?? references.configMap]
}

export function strategyOf(spec: ModelRouteSpec): RouteStrategy {
  // The schema has exactly one of them.
  return strategies.find((name) => spec[name] !== undefined) ?? 'direct'
}

/** Every deployment that a route names, each once. */
export function deploymentsOf({ direct, weighted, cascade, risk }: ModelRouteSpec): string[] {
  const named = [
    ...(direct === undefined ? [] : [direct.deployment]),
    ...(weighted ?? []).map(({ deployment }) => deployment),
    ...(cascade?.steps ?? []).flatMap(({ deployment, accept }) => [
      deployment,
      accept?.metaRanking.judge ?? deployment,
    ]),
    ...(risk === undefined ? [] : riskDeployments(risk)),
  ]
  return [...new Set(named)]
}
