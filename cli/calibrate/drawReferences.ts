/** References out of labelled answers, where nobody has chosen any: about as many right as wrong ones. Pure. */
import { seeded } from '#algorithms/seeded.ts'
import type { CascadeReference } from '#contracts/calibration.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { LabelledAnswer } from './cascadeDocument.ts'

/** At most this share of the labels is looked at, as soon as there is one answer of each kind. */
const lookedShareMax = 0.5

/**
 * Labels are looked at in an order that the seed alone gives, until there are enough of both kinds or half are looked at; all of those are
 * no labels any more, also where they became no reference. Leaving out only the chosen ones would leave others than the traffic's: they are
 * chosen by what the label says. A stopping time leaves the rest as independent as it was, and that is what the bound is proved for.
 */
export function drawReferences(
  answers: readonly LabelledAnswer[],
  count: number,
  seed: number,
): { references: CascadeReference[]; labelled: LabelledAnswer[] } {
  const random = seeded(seed)
  const order = answers.map((answer) => ({ answer, at: random() })).toSorted((a, b) => a.at - b.at)
  const right: CascadeReference[] = []
  const wrong: CascadeReference[] = []
  const [rightMax, wrongMax] = [Math.ceil(count / 2), Math.floor(count / 2)]
  let looked = 0
  for (const { answer } of order) {
    const isEnough = right.length === rightMax && wrong.length === wrongMax
    const isHalf = looked >= lookedShareMax * order.length && right.length > 0 && wrong.length > 0
    if (isEnough || isHalf) break
    looked += 1
    const [kind, most] = answer.correct ? [right, rightMax] : [wrong, wrongMax]
    if (kind.length < most && fits(answer))
      kind.push({ question: answer.question, answer: answer.answer, correct: answer.correct })
  }
  if (right.length === 0 || wrong.length === 0)
    throw none(`${answers.length} answers of which ${right.length === 0 ? 'none is right' : 'none is wrong'}`)
  const labelled = order.slice(looked).map(({ answer }) => answer)
  if (labelled.length === 0) throw none(`${answers.length} answers that leave no label when both kinds are found`)
  return { references: [...right, ...wrong], labelled }
}

const none = (what: string) =>
  new Failure('invalid-configuration', `calibrate cascade: ${what} make no references; name some with --references`)

/** A share of the file that references may take, so that they fit whatever their number is. */
function fits({ question, answer }: LabelledAnswer): boolean {
  const { textCharactersMax, referencesBytesMax, referencesMax } = limits.calibration
  const bytes = Buffer.byteLength(JSON.stringify({ question, answer, correct: true }))
  return (
    question.length <= textCharactersMax &&
    answer.length <= textCharactersMax &&
    bytes < referencesBytesMax / referencesMax
  )
}
