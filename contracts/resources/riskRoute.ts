/**
 * The `risk` strategy of a ModelRoute: sources vote on an answer, a harmonizer trained by `paceline calibrate risk` weighs what they and the
 * question's embedding say into the chance that the answer is wrong, and two thresholds decide what is done with it.
 *
 * A source comes to yes, no or nothing, and `yes` and `no` say which label it then votes for. Without `labels` there are two, `right` and
 * `wrong`, and the model's own vote is always `right`. With `labels` the answer is one of them, and `right` is the one that it gave.
 */
import * as z from 'zod'
import { limits } from '../limits.ts'
import { schemaProblem } from './jsonSchemaForm.ts'
import { dnsLabel } from './metadata.ts'
import { hinted, namedListOf, ruled } from './rules.ts'

const { risk } = limits

const Deployment = z.string().max(63).regex(dnsLabel, 'the name of a ModelDeployment')

const printable = /^[ -~]*$/

const Pattern = z
  .string()
  .min(1)
  .max(risk.patternCharactersMax)
  .regex(printable, 'printable ASCII; write other characters as \\u00e4')
  .refine(
    isExpression,
    'not a regular expression of JavaScript; see the error of `new RegExp(…, "u")` for where it ends',
  )
  .describe(
    'A regular expression of JavaScript (flag `u`). One that takes too long is given up, and its source abstains.',
  )

const Vote = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 'a label, right, wrong or abstain')

const votes = {
  yes: Vote.default('right').describe('Vote where it holds: `right`, `wrong`, `abstain`, or one of the labels.'),
  no: Vote.default('wrong').describe('Vote where it does not hold.'),
}
const of = z.enum(['question', 'answer']).default('answer').describe('What is looked at.')

/** What a validator can check; each is a function of the texts alone. */
export const validatorChecks = ['json', 'number', 'date', 'url', 'complete', 'arithmetic'] as const

const kinds = [
  'expression',
  'validator',
  'jsonSchema',
  'length',
  'logProbability',
  'selfConsistency',
  'metaRanking',
  'ownLabel',
] as const
export type RiskSourceKind = (typeof kinds)[number]

export const RiskSource = ruled(
  z.strictObject({
    name: z
      .string()
      .max(63)
      .regex(dnsLabel, 'lower-case letters, digits and "-"')
      .describe('Its name in figures and calibrations.'),
    expression: z
      .strictObject({ of, pattern: Pattern, ignoreCase: z.boolean().default(false).describe('Aa is aa.'), ...votes })
      .optional()
      .describe('Holds where the expression is found.'),
    validator: z
      .strictObject({
        of,
        check: z
          .enum(validatorChecks)
          .describe(
            'json: it parses; number: it is one; date: an ISO date that exists; url; complete: it ends with a sentence; arithmetic: it ends with the value of the sum that the question holds (nothing where it holds none).',
          ),
        ...votes,
      })
      .optional()
      .describe('Holds where the text passes a check.'),
    jsonSchema: z
      .strictObject({
        schema: hinted(
          z.record(z.string(), z.unknown()).refine((schema) => schemaProblem(schema) === null, {
            error: ({ input }) => `not a JSON Schema that can be checked: ${schemaProblem(input) ?? ''}`,
          }),
          { opaque: true },
        ).describe('A JSON Schema.'),
        ...votes,
      })
      .optional()
      .describe('Holds where the answer is JSON that fits the schema.'),
    length: z
      .strictObject({
        of,
        charactersMin: z.int().min(0).max(1_000_000).default(0).describe('At least so many.'),
        charactersMax: z.int().min(0).max(1_000_000).default(1_000_000).describe('At most so many.'),
        ...votes,
      })
      .optional()
      .describe('Holds where the text is as long as it should be.'),
    logProbability: z
      .strictObject({
        meanMin: z.number().min(-100).max(0).describe('Mean natural logarithm of the chances of the answer’s tokens.'),
        ...votes,
      })
      .optional()
      .describe('Holds where the model was sure enough of its tokens.'),
    selfConsistency: z
      .strictObject({
        samples: z.int().min(2).max(limits.request.choicesMax).default(4).describe('Further answers that are drawn.'),
        temperature: z.number().gt(0).max(2).default(0.7).describe('Of the further answers.'),
        agreeMin: z.number().min(0).max(1).default(0.5).describe('Share of them that must say the same.'),
        compare: z
          .enum(['text', 'number'])
          .default('text')
          .describe(
            'text: the same but for case, spaces and punctuation; number: the same last number. With labels: the same label.',
          ),
        ...votes,
      })
      .optional()
      .describe('Holds where the model says the same again.'),
    metaRanking: z
      .strictObject({
        judge: Deployment.optional().describe('ModelDeployment that compares; absent: the one that answered.'),
        scoreMin: z.number().min(-1).max(1).default(0).describe('Score against the references from which it holds.'),
        ...votes,
      })
      .optional()
      .describe(
        'Holds where the answer ranks well against the references in the ConfigMap of the calibration (`references.jsonl`).',
      ),
    ownLabel: z.strictObject({}).optional().describe('The label that the answer gave; without labels: `right`.'),
  }),
  [
    {
      cel: `[${kinds.map((kind) => `has(self.${kind})`).join(', ')}].exists_one(given, given)`,
      message: `exactly one of ${kinds.join(', ')}`,
      holds: (source) => kinds.filter((kind) => source[kind] !== undefined).length === 1,
    },
  ],
)
export type RiskSource = z.infer<typeof RiskSource>

export const RiskLabel = z.strictObject({
  name: Vote.describe('As sources vote for it.'),
  pattern: Pattern,
})

export const RiskTrafficLog = z.strictObject({
  share: z.number().gt(0).max(1).default(0.1).describe('Share of requests that is kept.'),
  texts: z
    .boolean()
    .default(false)
    .describe(
      'Keep question and answer too. Without them: votes, signals and the embedding, which is all that training reads.',
    ),
  redact: z
    .array(
      z.strictObject({
        pattern: Pattern,
        with: z
          .string()
          .max(63)
          .regex(printable, 'printable ASCII')
          .default('[redacted]')
          .describe('What stands in its place.'),
      }),
    )
    .max(risk.redactionsMax)
    .default([])
    .describe('What is taken out of texts before they are kept. A rule that takes too long keeps the whole text out.'),
})
export type RiskTrafficLog = z.infer<typeof RiskTrafficLog>

export const repromptModes = ['selfExamination', 'selfSupervision'] as const
export type RepromptMode = (typeof repromptModes)[number]

const RiskFields = z
  .strictObject({
    deployment: Deployment.describe('ModelDeployment that answers first.'),
    escalateTo: Deployment.describe('ModelDeployment that answers where the risk is high.'),
    answerBelow: z.number().min(0).max(1).default(0.2).describe('Below this risk the answer is given.'),
    escalateFrom: z
      .number()
      .min(0)
      .max(1)
      .default(0.5)
      .describe('From this risk on the other one answers; in between it is asked again.'),
    reprompt: z
      .enum(repromptModes)
      .default('selfExamination')
      .describe(
        'How it is asked again: to look at its answer once more, or shown what the sources that disagree found.',
      ),
    embedding: z
      .strictObject({ deployment: Deployment.describe('A ModelDeployment with `engine.embeddings`.') })
      .optional()
      .describe('Whose vectors the harmonizer reads; absent: of the deployment that answers.'),
    labels: z
      .array(RiskLabel)
      .max(risk.labelsMax)
      .default([])
      .describe(
        'The labels of a classification, the first that is found in the answer being its own; none: right and wrong.',
      ),
    sources: namedListOf(RiskSource, risk.sourcesMax).default([]).describe('Who votes.'),
    calibration: z
      .strictObject({
        configMap: z
          .string()
          .max(253)
          .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'the name of a ConfigMap')
          .describe('ConfigMap with `risk.json`.'),
      })
      .optional()
      .describe('What `paceline calibrate risk` made. Absent: every answer is escalated.'),
    trafficLog: RiskTrafficLog.optional().describe(
      'Keep a part of the traffic to calibrate with. Absent: nothing is kept.',
    ),
    shadow: z
      .boolean()
      .default(false)
      .describe('Score and record only, and answer with escalateTo as if the other one were not there.'),
  })
  .superRefine(({ labels, sources }, context) => {
    const known = new Set<string>([...plainVotes, ...labels.map(({ name }) => name)])
    for (const [i, source] of sources.entries())
      for (const vote of votesIn(source))
        if (!known.has(vote))
          context.addIssue({
            code: 'custom',
            path: ['sources', i],
            message: `"${vote}" is no vote: name one of ${[...known].join(', ')}`,
          })
  })

/** Votes that every route knows: a label of the same name could not be told from them. */
const plainVotes = ['right', 'wrong', 'abstain'] as const
/** All that a route's record holds of schemas; the API server cannot look into them, so the operator says it. */
const schemasBytes = ({ sources }: z.output<typeof RiskFields>) =>
  sources.reduce((sum, { jsonSchema }) => sum + Buffer.byteLength(JSON.stringify(jsonSchema?.schema ?? '')), 0)

const RiskWithSmallSchemas = RiskFields.refine((risk) => schemasBytes(risk) <= limits.request.schemaBytesMax, {
  path: ['sources'],
  message: `more than ${limits.request.schemaBytesMax} bytes of JSON Schemas together; make them smaller`,
})

export const Risk = ruled(RiskWithSmallSchemas, [
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
  {
    cel: 'size(self.labels) != 1',
    message: 'one label tells nothing apart; add another one or remove it',
    path: ['labels'],
    holds: ({ labels }) => labels.length !== 1,
  },
  {
    cel: `self.labels.all(label, ${plainVotes.map((vote) => `label.name != '${vote}'`).join(' && ')})`,
    message: `a label must not be called ${plainVotes.join(', ')}: sources vote by these for other things; rename it`,
    path: ['labels'],
    holds: ({ labels }) => !labels.some(({ name }) => plainVotes.some((vote) => vote === name)),
  },
  {
    cel: 'self.labels.all(label, self.labels.exists_one(other, other.name == label.name))',
    message: 'each label once: rename or remove the double',
    path: ['labels'],
    holds: ({ labels }) => new Set(labels.map(({ name }) => name)).size === labels.length,
  },
  ...(['selfConsistency', 'metaRanking'] as const).map((kind) => ({
    cel: `self.sources.filter(source, has(source.${kind})).size() <= 1`,
    message: `one source of the kind ${kind}: another one would be told the same`,
    path: ['sources'],
    holds: ({ sources }: z.output<typeof RiskFields>) =>
      sources.filter((source) => source[kind] !== undefined).length <= 1,
  })),
])
export type Risk = z.infer<typeof Risk>

/** The deployments that a risk route asks. */
export function riskDeployments({ deployment, escalateTo, embedding, sources }: Risk): string[] {
  const judges = sources.flatMap(({ metaRanking }) => metaRanking?.judge ?? [])
  return [deployment, escalateTo, ...(embedding === undefined ? [] : [embedding.deployment]), ...judges]
}

function votesIn(source: RiskSource): string[] {
  const { expression, validator, jsonSchema, length, logProbability, selfConsistency, metaRanking } = source
  const given = [expression, validator, jsonSchema, length, logProbability, selfConsistency, metaRanking]
  return given.flatMap((kind) => (kind === undefined ? [] : [kind.yes, kind.no]))
}

function isExpression(pattern: string): boolean {
  try {
    return new RegExp(pattern, 'u') instanceof RegExp
  } catch {
    return false
  }
}
