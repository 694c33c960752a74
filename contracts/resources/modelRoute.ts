/**
 * `ModelRoute`: a model name for clients that stands for a policy over deployments.
 *
 * Exactly one strategy per route. `direct` and `weighted` are carried out by every router. `cascade` and `risk` are accepted and checked
 * in this version, and nobody carries them out: routers answer such a name with "no such model", and the route's status says so.
 */
import * as z from 'zod'
import { apiVersion, conditionOf, conditionsOf, dnsLabel, nameRule, OwnMetadata, ServedName } from './metadata.ts'
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

const Accept = z.strictObject({
  metaRanking: z
    .strictObject({
      references: z
        .strictObject({
          configMap: z
            .string()
            .max(253)
            .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'the name of a ConfigMap')
            .describe('ConfigMap of questions with answers known to be right or wrong.'),
        })
        .describe('What answers are compared with.'),
      errorRateMax: z.number().gt(0).lt(1).describe('Share of kept answers that may be wrong.'),
    })
    .describe('Keep the answer where it ranks above references that are known to be wrong.'),
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

const Risk = ruled(
  z.strictObject({
    deployment: Target.describe('ModelDeployment that answers first.'),
    escalateTo: Target.describe('ModelDeployment that answers where the risk is high.'),
    answerBelow: z.number().min(0).max(1).default(0.2).describe('Below this risk the answer is given.'),
    escalateFrom: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('From this risk on the other one answers; in between it is asked again.'),
  }),
  [
    {
      cel: 'self.answerBelow <= self.escalateFrom',
      message: 'answerBelow must not be over escalateFrom; lower it or raise escalateFrom',
      path: ['answerBelow'],
      holds: ({ answerBelow, escalateFrom }) => answerBelow <= escalateFrom,
    },
    {
      cel: 'self.deployment != self.escalateTo',
      message: 'escalateTo must be another deployment',
      path: ['escalateTo'],
      holds: ({ deployment, escalateTo }) => deployment !== escalateTo,
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
    cascade: Cascade.optional().describe(
      'Smaller models first; what is not good enough goes on to the next. Checked, and without effect in this version.',
    ),
    risk: Risk.optional().describe(
      'One deployment, and another one for answers that are likely wrong. Checked, and without effect in this version.',
    ),
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

export const RouteConditionType = z.enum(['Ready', 'DeploymentsReady', 'Degraded'])
export type RouteConditionType = z.infer<typeof RouteConditionType>

export const RouteCondition = conditionOf(RouteConditionType)
export type RouteCondition = z.infer<typeof RouteCondition>

export const ModelRouteStatus = z.object({
  conditions: conditionsOf(RouteCondition).describe('What is true of the route now.'),
  observedGeneration: z.int().min(0).describe('The generation that this status is about.'),
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

export function strategyOf(spec: ModelRouteSpec): RouteStrategy {
  // The schema has exactly one of them.
  return strategies.find((name) => spec[name] !== undefined) ?? 'direct'
}

/** Every deployment that a route names, each once. */
export function deploymentsOf({ direct, weighted, cascade, risk }: ModelRouteSpec): string[] {
  const named = [
    ...(direct === undefined ? [] : [direct.deployment]),
    ...(weighted ?? []).map(({ deployment }) => deployment),
    ...(cascade?.steps ?? []).map(({ deployment }) => deployment),
    ...(risk === undefined ? [] : [risk.deployment, risk.escalateTo]),
  ]
  return [...new Set(named)]
}
