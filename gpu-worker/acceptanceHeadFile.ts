/**
 * What `paceline calibrate acceptance` has learned of one pair, as a file. The only place that reads or writes it.
 *
 * JSON: whose it is (`pair`, by the SHA-256 of both model files), what its heads look at (`features`), and for each way of picking draft
 * tokens a head (`weights`), with how good it was on requests that it was not trained on (`heldOut`, for people). What was learned of
 * another pair says nothing of this one, so it is refused and not tried.
 */
import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import * as z from 'zod'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { Sha256 } from '#contracts/resources/modelDeployment.ts'
import {
  type AcceptanceHead,
  type AcceptanceHeads,
  featureNames,
  unweighted,
} from './core/speculation/stopping/acceptanceHead.ts'

const version = 1

const share = z.number().min(0).max(1)
const CalibrationRow = z.strictObject({
  from: share,
  to: share,
  examples: z.int().min(1),
  predicted: share,
  cameTrue: share,
})

const LearnedHead = z.strictObject({
  /** One per feature: the log odds that the target takes a draft token are their sum, each times its feature. */
  weights: z.array(z.number()),
  heldOut: z.strictObject({
    requests: z.int().min(1),
    examples: z.int().min(1),
    /** Loss of the head, and of the best prediction that looks at nothing. */
    loss: z.number(),
    lossOfConstant: z.number(),
    /** Mean distance between predicted and true, of the head and of the draft's own probabilities. */
    error: share,
    errorOfDraft: share,
    calibration: z.array(CalibrationRow).max(32),
  }),
  trained: z.strictObject({ requests: z.int().min(1), examples: z.int().min(1) }),
})
export type LearnedHead = z.infer<typeof LearnedHead>

const AcceptanceFile = z.strictObject({
  format: z.literal('paceline-acceptance'),
  version: z.literal(version),
  pair: z.strictObject({ target: Sha256, draft: Sha256 }),
  features: z.array(z.string()),
  /** How much more a rejection counted in training; a prediction is a chance once its odds are multiplied by it. */
  rejectionWeight: z.number().min(1).max(100),
  /** Of the likeliest tokens, and of tokens drawn from the draft's law; null: no request was of that kind. */
  heads: z.strictObject({ best: LearnedHead.nullable(), drawn: LearnedHead.nullable() }),
})
type AcceptanceFile = z.infer<typeof AcceptanceFile>
export type LearnedAcceptance = Omit<AcceptanceFile, 'format' | 'version' | 'features'>

/** SHA-256 of both files; null: not known, and then no head can be said to be of this pair. */
export interface PairIdentity {
  readonly target: string | null
  readonly draft: string | null
}

/**
 * Heads whose predictions are chances. Throws `Failure('invalid-configuration')` where the file is missing, damaged, of another version or
 * of another pair.
 */
export async function loadAcceptanceHeads(path: string, pair: PairIdentity): Promise<AcceptanceHeads> {
  const { heads, rejectionWeight, ...file } = parse(path, await textOf(path))
  const known = featureNames.join(', ')
  if (file.features.join(', ') !== known)
    throw unusable(path, `it looks at ${file.features.join(', ')}; this version at ${known}`)
  for (const one of ['target', 'draft'] as const)
    if (file.pair[one] !== pair[one])
      throw unusable(path, `it is of the ${one} ${brief(file.pair[one])}; this pair has ${brief(pair[one])}`)
  const headOf = (learned: LearnedHead | null): AcceptanceHead | null => {
    if (learned === null) return null
    const { weights } = learned
    if (weights.length !== featureNames.length)
      throw unusable(path, `a head has ${weights.length} weights for ${featureNames.length} features`)
    return unweighted({ weights }, rejectionWeight)
  }
  return { best: headOf(heads.best), drawn: headOf(heads.drawn) }
}

/** Under another name first: a reader never sees half a file. Returns what was written. */
export async function saveAcceptanceHeads(path: string, learned: LearnedAcceptance): Promise<string> {
  const { pair, rejectionWeight, heads } = learned
  const file = { format: 'paceline-acceptance', version, pair, features: [...featureNames], rejectionWeight, heads }
  const text = `${JSON.stringify(AcceptanceFile.parse(file), null, 2)}\n`
  const unfinished = `${path}.unfinished`
  try {
    await writeFile(unfinished, text)
    await rename(unfinished, path)
  } finally {
    await rm(unfinished, { force: true })
  }
  return text
}

async function textOf(path: string): Promise<string> {
  const { acceptanceHeadBytesMax } = limits.speculation
  try {
    const { size } = await stat(path)
    if (size > acceptanceHeadBytesMax) throw unusable(path, `it has ${size} bytes of at most ${acceptanceHeadBytesMax}`)
    return await readFile(path, 'utf8')
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    throw unusable(path, cause instanceof Error ? cause.message : String(cause), cause)
  }
}

function parse(path: string, text: string): AcceptanceFile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw unusable(path, 'it is not JSON', cause)
  }
  const result = AcceptanceFile.safeParse(value)
  if (result.success) return result.data
  const [first] = result.error.issues
  throw unusable(path, `${first?.path.join('.') ?? ''}: ${first?.message ?? 'unreadable'}`, result.error)
}

const brief = (sha256: string | null) => (sha256 === null ? 'none that is known' : `${sha256.slice(0, 12)}…`)

const unusable = (path: string, reason: string, cause?: unknown) =>
  new Failure(
    'invalid-configuration',
    `the acceptance file ${path} cannot be used (${reason}); make one for this pair with paceline calibrate acceptance`,
    cause === undefined ? {} : { cause },
  )
