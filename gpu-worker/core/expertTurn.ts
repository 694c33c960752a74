/**
 * What the engine does about experts before a step: it attaches one adapter for all that it decodes, so experts take turns.
 *
 * A turn goes on while nobody else would be late, up to `turnMsMax`; then no new request enters it, and the next one begins when its
 * last sequence has ended. Only the age guard breaks a turn off, and not before `turnMsMin`: those that hold slots then give way, keep
 * what they computed, and wait for their expert's next turn. It does so for those whom that saves. Who is late already waits for the end
 * of the turn, up to `lateTurnMsMax`, and is next: breaking off turns under more work than can be done only makes less of it (measured: a
 * third less). A pure function of a snapshot.
 */
import { canAllStart, type ExpertRequest, planExpertBatch } from '#algorithms/expertQueues.ts'

export interface TurnSnapshot<Id, Expert> {
  /** In the order in which they would take slots if there were one expert. */
  readonly waiting: readonly ExpertRequest<Id, Expert>[]
  /** Whose sequences hold slots; undefined where none are held. */
  readonly running: Expert | undefined
  readonly turnStartedAt: number
  readonly slotsFree: number
  readonly slots: number
  readonly turnMsMin: number
  readonly turnMsMax: number
  readonly lateTurnMsMax: number
  readonly leadTokensMax: number
  /** Least recently used first. */
  readonly resident: readonly Expert[]
  readonly now: number
}

export type Turn<Id, Expert> =
  /** These may take slots, in this order; `expert` must be attached first. */
  | { readonly kind: 'admit'; readonly expert: Expert; readonly requests: readonly Id[] }
  /** Nobody enters until those that hold slots have ended. */
  | { readonly kind: 'drain' }
  /** Those that hold slots lose them now. */
  | { readonly kind: 'give-way' }
  | { readonly kind: 'nothing-waits' }

export function decideTurn<Id, Expert>(snapshot: TurnSnapshot<Id, Expert>): Turn<Id, Expert> {
  const { waiting, running, now, turnStartedAt, slots, slotsFree, turnMsMin, turnMsMax, lateTurnMsMax } = snapshot
  const engine = { room: slots, expertsMax: 1, turnMs: turnMsMin, now }
  const [expert] = planExpertBatch({ ...snapshot, ...engine, line: waiting }).experts
  if (expert === undefined) return { kind: 'nothing-waits' }
  const admit = (whose: Expert): Turn<Id, Expert> => {
    const own = waiting.filter((request) => request.expert === whose)
    return { kind: 'admit', expert: whose, requests: own.slice(0, slotsFree).map(({ id }) => id) }
  }
  if (running === undefined) return admit(expert)
  const turnMs = now - turnStartedAt
  const others = waiting.filter((request) => request.expert !== running)
  const savable = others.filter(({ startBy }) => startBy >= now)
  if (savable.length < others.length && turnMs >= lateTurnMsMax) return { kind: 'give-way' }
  if (!canAllStart(savable, engine)) return { kind: turnMs >= turnMsMin ? 'give-way' : 'drain' }
  if (others.length === waiting.length) return { kind: 'drain' }
  return expert === running || turnMs < turnMsMax ? admit(running) : { kind: 'drain' }
}
