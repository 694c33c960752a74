/**
 * The prompt of a second try (2306.16564, "dynamic prompting"): the model is shown its answer and asked to look at it again, and with
 * self-supervision also what the sources found that vote for another label. Null where there is no text to put that into. Pure.
 */
import type { ChatMessage, Work } from '#contracts/messages.ts'
import { labelNames, type RiskPolicy } from '#contracts/riskPolicy.ts'
import type { Source, Votes } from './riskVotes.ts'

export function repromptOf(
  work: Work,
  answer: string,
  policy: Pick<RiskPolicy, 'reprompt' | 'sources' | 'labels'>,
  votes: Votes,
): Work | null {
  const evidence = policy.reprompt === 'selfSupervision' ? evidenceOf(policy, votes) : []
  const request = [...evidenceText(evidence), question, format(policy)].join(' ')
  switch (work.kind) {
    case 'chat': {
      const more: ChatMessage[] = [
        { role: 'assistant', content: answer },
        { role: 'user', content: request },
      ]
      return { kind: 'chat', messages: [...work.messages, ...more] }
    }
    case 'completion':
      if (typeof work.prompt !== 'string') return null
      return { ...work, prompt: `${work.prompt}${answer}\n\n${request}\n\n` }
    case 'embedding':
      return null
    default:
      return work satisfies never
  }
}

/** What spoke against the answer, a line for each source. */
export function evidenceOf({ sources, labels }: Pick<RiskPolicy, 'sources' | 'labels'>, { votes, ownLabel }: Votes) {
  const names = labelNames(labels)
  return sources.flatMap((source, i) => {
    const vote = votes[i] ?? null
    if (vote === null || vote === ownLabel) return []
    const verdict = labels.length === 0 ? 'the answer is wrong' : `it is "${names[vote] ?? ''}"`
    return [`${findingOf(source)}, which says that ${verdict}`]
  })
}

const question = 'Look at your answer again. Is it correct? Correct it where it is not.'

const format = ({ labels }: Pick<RiskPolicy, 'labels'>) =>
  labels.length === 0
    ? 'Reply with the final answer only, in the form that was asked for.'
    : `Reply with one of: ${labels.map(({ name }) => name).join(', ')}.`

function evidenceText(evidence: readonly string[]): string[] {
  return evidence.length === 0 ? [] : [`Checks of your answer found: ${evidence.join('; ')}.`]
}

function findingOf(source: Source): string {
  const { name, expression, validator, jsonSchema, length, logProbability, selfConsistency, metaRanking } = source
  if (expression !== undefined) return `the check "${name}" of the ${expression.of}`
  if (validator !== undefined) return `the check "${name}" (${validator.check}) of the ${validator.of}`
  if (jsonSchema !== undefined) return `the check "${name}" of the answer's JSON`
  if (length !== undefined) return `the check "${name}" of the ${length.of}'s length`
  if (logProbability !== undefined) return `the check "${name}" of how sure you were`
  if (selfConsistency !== undefined) return `the check "${name}" of what you say when asked again`
  if (metaRanking !== undefined) return `the check "${name}" against answers that are known`
  return `the check "${name}"`
}
