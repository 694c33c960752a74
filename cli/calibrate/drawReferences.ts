/** References out of labelled answers, where nobody has chosen any: about as many right as wrong ones. Pure. */
import { seeded } from '#algorithms/seeded.ts'
import type { CascadeReference } from '#contracts/calibration.ts'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import type { LabelledAnswer } from './cascadeDocument.ts'

/** Drawn by the seed alone, and no labels any more: a judge knows its references' answers. */
export function drawReferences(
  answers: readonly LabelledAnswer[],
  count: number,
  seed: number,
): { references: CascadeReference[]; labelled: LabelledAnswer[] } {
  const random = seeded(seed)
  const order = answers
    .map((answer, number) => ({ answer, number, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .filter(({ answer }) => fits(answer))
  const right = order.filter(({ answer }) => answer.correct).slice(0, Math.ceil(count / 2))
  const wrong = order.filter(({ answer }) => !answer.correct).slice(0, Math.floor(count / 2))
  if (right.length === 0 || wrong.length === 0)
    throw new Failure(
      'invalid-configuration',
      `calibrate cascade: ${answers.length} answers of which ${right.length === 0 ? 'none is right' : 'none is wrong'} make no references; name some with --references`,
    )
  const chosen = new Set([...right, ...wrong].map(({ number }) => number))
  const references = [...right, ...wrong].map(({ answer: { question, answer, correct } }) => ({
    question,
    answer,
    correct,
  }))
  return { references, labelled: answers.filter((_, number) => !chosen.has(number)) }
}

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
