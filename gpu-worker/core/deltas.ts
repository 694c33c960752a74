/** Joins what several steps gained into one delta: requests that nobody reads before their end are sent rarely. */
import type { ChoiceDelta } from '#contracts/messages.ts'

/** `later` after `earlier`, one entry per choice, in order of their index. */
export function joinDeltas(earlier: readonly ChoiceDelta[], later: readonly ChoiceDelta[]): ChoiceDelta[] {
  if (earlier.length === 0) return [...later]
  const byIndex = new Map(earlier.map((delta) => [delta.index, delta]))
  for (const delta of later) {
    const before = byIndex.get(delta.index)
    byIndex.set(delta.index, before === undefined ? delta : joinChoice(before, delta))
  }
  return [...byIndex.values()].sort((a, b) => a.index - b.index)
}

function joinChoice(earlier: ChoiceDelta, later: ChoiceDelta): ChoiceDelta {
  const logprobs = [...(earlier.logprobs ?? []), ...(later.logprobs ?? [])]
  const finish = later.finish ?? earlier.finish
  return {
    index: earlier.index,
    text: earlier.text + later.text,
    tokens: [...earlier.tokens, ...later.tokens],
    ...(logprobs.length > 0 ? { logprobs } : {}),
    ...(finish === undefined ? {} : { finish }),
  }
}
