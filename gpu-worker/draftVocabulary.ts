/**
 * May this draft's tokens stand for the target's? Ids are all that passes between the two, so each must mean the same to both. Pure.
 *
 * Publishers pad vocabularies to round sizes: a few ids more on one side are of no harm, because neither model writes them.
 */
import type { ModelRunner } from './modelRunner.ts'

export interface TokenMeanings {
  readonly vocabularySize: number
  readonly beginToken: number | null
  readonly endOfGeneration: readonly number[]
  /** As text, special tokens by their names. */
  spell(token: number): string
}

/** Of a model that is open. */
export function meaningsOf(
  runner: Pick<ModelRunner, 'endOfGenerationTokens' | 'specialText'> & {
    readonly info: Pick<ModelRunner['info'], 'vocabularySize' | 'beginToken'>
  },
): TokenMeanings {
  return {
    vocabularySize: runner.info.vocabularySize,
    beginToken: runner.info.beginToken,
    endOfGeneration: runner.endOfGenerationTokens(),
    spell: (token) => runner.specialText(token),
  }
}

const sizeDifferenceMax = 128

/** What differs first, for people; null where nothing does. */
export function vocabularyFault(target: TokenMeanings, draft: TokenMeanings): string | null {
  const difference = Math.abs(target.vocabularySize - draft.vocabularySize)
  if (difference > sizeDifferenceMax)
    return `the draft has ${draft.vocabularySize} tokens and the target ${target.vocabularySize}`
  if (draft.beginToken !== target.beginToken)
    return `the draft begins texts with token ${draft.beginToken} and the target with ${target.beginToken}`
  const shared = Math.min(target.vocabularySize, draft.vocabularySize)
  for (let token = 0; token < shared; token++) {
    const [ours, theirs] = [target.spell(token), draft.spell(token)]
    if (ours !== theirs)
      return `token ${token} is ${JSON.stringify(theirs)} to the draft and ${JSON.stringify(ours)} to the target`
  }
  const ends = new Set(target.endOfGeneration)
  const other = draft.endOfGeneration.find((token) => !ends.has(token) && token < shared)
  return other === undefined ? null : `token ${other} ends the draft's texts and not the target's`
}
