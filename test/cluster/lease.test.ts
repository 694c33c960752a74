/** A leader that was frozen beyond its lease and wakes up writes nothing. */
import { expect, test } from 'vitest'
import { freezeLeader } from './leaderFreeze.ts'
import { describePaceline } from './sharedPaceline.ts'

describePaceline('leadership', (paceline) => {
  test('passes on when the leader freezes, and who wakes up late writes nothing', async () => {
    const rounds = await freezeLeader(paceline(), { name: 'led', rounds: 3 })
    expect(rounds.flatMap(({ staleWrites }) => staleWrites)).toEqual([])
    for (const { leader, successor, successorWrites } of rounds) {
      expect(successor).not.toBe(leader)
      expect(successorWrites).toBeGreaterThan(0)
    }
  })
})
