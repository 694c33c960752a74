/**
 * What runs in a worker: the engine's own settings, and the made-up engine for tests of everything around it.
 */
import * as z from 'zod'
import { dnsLabel } from './metadata.ts'
import { hinted, ruled, setOf } from './rules.ts'

export const Fault = z.strictObject({
  kind: z.enum(['crash', 'stall', 'slow', 'refuse', 'garbage']).describe('What goes wrong.'),
  probability: z.number().min(0).max(1).describe('Chance per engine step (per request for `refuse`).'),
  amount: z
    .number()
    .positive()
    .max(1e9)
    .default(1)
    .describe('`stall`: milliseconds it lasts; `slow`: factor on the time of a step.'),
})
export type Fault = z.infer<typeof Fault>

const AcceptancePhase = z.strictObject({
  forMs: z.number().positive().max(1e9).describe('How long this phase lasts, in milliseconds.'),
  acceptance: z.number().min(0).max(1).describe('Chance that a drafted token is accepted meanwhile.'),
})

const StepTable = z.strictObject({
  rows: z.array(z.int().min(1).max(65_536)).min(1).max(64).describe('Batch rows of each column, rising.'),
  contexts: z.array(z.int().min(0).max(1_048_576)).min(1).max(64).describe('Tokens of context of each line, rising.'),
  ms: z
    .array(z.array(z.number().positive().max(60_000)).min(1).max(64))
    .min(1)
    .max(64)
    .describe('Milliseconds of a decode step: one line per context, one column per number of rows.'),
})

export const SimulatedSettings = z
  .strictObject({
    promptTokensPerSecond: z.number().positive().max(1e9).default(2_000).describe('Speed of reading prompts.'),
    stepMs: z
      .number()
      .nonnegative()
      .max(60_000)
      .default(10)
      .describe('Milliseconds of a decode step with one row; 0 is as fast as possible.'),
    rowMs: z.number().nonnegative().max(60_000).default(1).describe('Milliseconds that each further row adds.'),
    acceptance: z
      .number()
      .min(0)
      .max(1)
      .default(0.7)
      .describe('Chance that a drafted token is accepted; matters only with `draftTokens` over 0.'),
    draftTokens: z.int().min(0).max(64).default(0).describe('Tokens drafted per step.'),
    acceptanceByPosition: z
      .array(z.number().min(0).max(1))
      .max(64)
      .default([])
      .describe(
        'The same by position in the draft, once the ones before are accepted; the last holds for all further ones. Instead of `acceptance`.',
      ),
    acceptanceSpread: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('How far requests differ: each adds a number of its own between minus and plus this.'),
    acceptancePhases: z
      .array(AcceptancePhase)
      .max(64)
      .default([])
      .describe('Acceptance that changes with time, over and over. Instead of `acceptance`.'),
    draftStepShare: z
      .number()
      .min(0)
      .max(10)
      .default(0)
      .describe('What each drafted token takes, as a share of a decode step with one row per sequence.'),
    costCurve: StepTable.optional().describe(
      'Measured step times, instead of `stepMs` and `rowMs`; with a split cache, unequal drafts take several passes.',
    ),
    seed: z.int().min(0).max(4_294_967_295).default(1).describe('Same seed, same text.'),
    refusedExperts: setOf(z.string().max(63).regex(dnsLabel, 'the name of an expert'), 16)
      .optional()
      .describe('Experts of the pair whose adapters are to be refused, as ones for another base would be.'),
    quiz: z
      .strictObject({
        right: z.number().min(0).max(1).default(0.7).describe('Share of questions that it answers right.'),
        sees: z
          .number()
          .min(0)
          .max(1)
          .default(1)
          .describe('How often, asked to compare two answers, it sees which one is right; else it says anything.'),
      })
      .optional()
      .describe(
        'Answers of known quality, for routes that judge them: right ones begin with the word good, wrong ones with not.',
      ),
    faults: z.array(Fault).max(16).default([]).describe('What should go wrong, and how often.'),
  })
  .describe(
    'Settings of the made-up engine; everything that shows its figures says that they are simulated. Only with `kind: simulated`.',
  )
export type SimulatedSettings = z.infer<typeof SimulatedSettings>

const Threads = hinted(z.union([z.literal('auto'), z.int().min(1).max(512)]), { intOrString: true })

export const Engine = ruled(
  z.strictObject({
    kind: z
      .enum(['llamacpp', 'simulated'])
      .default('llamacpp')
      .describe('`simulated` loads no model and makes up its answers.'),
    backend: z
      .enum(['auto', 'cpu', 'cuda', 'vulkan', 'metal'])
      .default('auto')
      .describe('Which llama.cpp libraries; `auto` takes the fastest that is installed and works.'),
    contextTokensMax: z
      .int()
      .min(64)
      .max(1_048_576)
      .default(4096)
      .describe('Tokens of prompt and answer together, per sequence.'),
    slots: z.int().min(1).max(256).default(8).describe('Sequences that one worker runs at once.'),
    threads: Threads.default('auto').describe(
      'Compute threads; `auto` takes the CPUs that the process owns alone and changes the number live when step times show a neighbour.',
    ),
    reproducible: z
      .boolean()
      .default(false)
      .describe(
        'Bit-identical results whatever the batch: q8_0 or bf16 KV cache with flash attention, proved at start.',
      ),
    kvLayout: z
      .enum(['split', 'unified'])
      .default('split')
      .describe('`split`: one KV stream per sequence (fastest); `unified`: one buffer that sequences share.'),
    promptChunkTokensMax: z
      .int()
      .min(1)
      .max(4096)
      .default(256)
      .describe('Prompt tokens of one step while other sequences run: bounds their longest gap.'),
    prefixCacheMiB: z
      .int()
      .min(0)
      .max(1_048_576)
      .default(256)
      .describe('Host memory for the prefix cache in MiB; 0 switches it off.'),
    embeddings: z.boolean().default(false).describe('Serve embeddings instead of text.'),
    simulated: SimulatedSettings.optional(),
  }),
  [
    {
      cel: "!has(self.simulated) || self.kind == 'simulated'",
      message: 'only with engine.kind: simulated; set that or remove engine.simulated',
      path: ['simulated'],
      holds: ({ simulated, kind }) => simulated === undefined || kind === 'simulated',
    },
  ],
)
export type Engine = z.infer<typeof Engine>
