import { afterEach, describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import type { Check } from './core/riskChecks.ts'
import { ThreadChecker } from './riskChecker.ts'

const finds = (pattern: string): Check => ({ kind: 'expression', of: 'answer', pattern, ignoreCase: false })
/** Each further letter doubles what it takes. */
const hostile = finds('^(a+)+$')
const texts = { question: '', answer: `${'a'.repeat(40)}!` }

describe('checks on their own thread', () => {
  let late = 0
  let checker: ThreadChecker | null = null
  const start = () => {
    late = 0
    checker = new ThreadChecker({ clock: systemClock, log: silentLog, onLate: () => (late += 1) })
    return checker
  }
  afterEach(() => checker?.close())

  test('come back in order, with the texts after their redactions', async () => {
    const redactions = [{ pattern: 'a+', with: '-' }]
    const found = await start().check({ checks: [finds('!'), finds('b')], texts, redactions })
    expect(found).toEqual({ checked: [40, -1], texts: { question: '', answer: '-!' } })
  })

  test('a schema is known to the thread, and a bad one costs no more than itself', async () => {
    const schema = { type: 'object', required: ['sum'], properties: { name: { type: 'string', pattern: '^(a+)+$' } } }
    const check: Check = { kind: 'jsonSchema', schema }
    const said = async (answer: string) =>
      (await start().check({ checks: [check, finds('[{]')], texts: { question: '', answer }, redactions: [] })).checked
    expect(await said('{"sum": 1}')).toEqual([0, 0])
    expect(await said('{"total": 1}')).toEqual([-1, 0])
    // Its own pattern backtracks.
    expect(await said(JSON.stringify({ sum: 1, name: `${'a'.repeat(40)}!` }))).toEqual([null, null])
  })

  test('one that backtracks for ever is given up, and what stood before it still counts', async () => {
    const found = await start().check({ checks: [finds('!'), hostile, finds('a')], texts, redactions: [] })
    expect(found).toEqual({ checked: [40, null, null], texts: null })
    expect(late).toBe(1)
  })

  test('after several times in a row it is asked no more, and the others are', async () => {
    const each = start()
    const job = { checks: [hostile, finds('!')], texts, redactions: [] }
    for (let i = 0; i < limits.risk.lateChecksMax; i += 1) await each.check(job)
    expect(await each.check(job)).toEqual({ checked: [null, 40], texts })
    expect(late).toBe(limits.risk.lateChecksMax)
  })

  test('redactions that never end keep the texts out, and then nobody asks for them any more', async () => {
    const each = start()
    const job = { checks: [finds('!')], texts, redactions: [{ pattern: '^(a+)+$', with: '' }] }
    for (let i = 0; i <= limits.risk.lateChecksMax; i += 1)
      expect(await each.check(job)).toEqual({ checked: [40], texts: null })
    expect(late).toBe(limits.risk.lateChecksMax)
  })

  test('answers that come while one hangs wait, and are checked', async () => {
    const each = start()
    const all = await Promise.all([
      each.check({ checks: [hostile], texts, redactions: [] }),
      each.check({ checks: [finds('!')], texts, redactions: [] }),
    ])
    expect(all.map(({ checked }) => checked)).toEqual([[null], [40]])
  })

  test('a closed one says nothing of anything', async () => {
    const each = start()
    const under = each.check({ checks: [finds('!')], texts, redactions: [] })
    each.close()
    const nothing = { checked: [null], texts: null }
    expect(await under).toEqual(nothing)
    expect(await each.check({ checks: [finds('!')], texts, redactions: [] })).toEqual(nothing)
  })
})
