/** The short form of many generated changes under the eyes of an operator; the long one is in `test/soak`. */
import { expect, test } from 'vitest'
import { changeGenerated } from './generated.ts'
import { describeLoneOperator } from './loneOperator.ts'

describeLoneOperator('generated changes', 'generated', (ground) => {
  test('are refused with a message or end in a condition, and every pair recovers', { timeout: 400_000 }, async () => {
    const operator = await ground().start()
    const { wrong, taken, told } = await changeGenerated(ground(), { specsPerName: 12 })
    expect(wrong).toEqual([])
    expect(taken).toBeGreaterThan(told / 5)
    expect(operator.child.exitCode).toBeNull()
  })
})
