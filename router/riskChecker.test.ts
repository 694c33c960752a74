import { afterEach, describe, expect, test } from 'vitest'
import { limits } from '#contracts/limits.ts'
import { type Clock, systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import type { Check } from './core/riskChecks.ts'
import { ThreadChecker } from './riskChecker.ts'

const finds = (pattern: string): Check => ({ kind: 'expression', of: 'answer', pattern, ignoreCase: false })
/** Each further letter doubles what it takes. */
const hostile = finds('^(a+)+$')
const texts = { question: '', answer: `${'a'.repeat(40)}!` }

describe('checks on their own thread', () => {
  let late = 0
  let passedMs = 0
  let checker: ThreadChecker | null = null
  const start = (clock: Clock = systemClock) => {
    late = 0
    passedMs = 0
    checker = new ThreadChecker({ clock, log: silentLog, onLate: () => (late += 1) })
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

  test('after several times in a row it rests while the others are asked, and is then tried once more', async () => {
    const each = start({ ...systemClock, now: () => systemClock.now() + passedMs })
    const job = { checks: [hostile, finds('!')], texts, redactions: [] }
    for (let i = 0; i < limits.risk.lateChecksMax; i += 1) await each.check(job)
    expect(await each.check(job)).toEqual({ checked: [null, 40], texts })
    expect(late).toBe(limits.risk.lateChecksMax)
    passedMs += limits.risk.lateCheckRestMs
    const harmless = { ...job, texts: { question: '', answer: 'aaa' } }
    const both = await Promise.all([each.check(harmless), each.check(harmless)])
    expect(both.map(({ checked }) => checked[0])).toEqual([0, null])
    expect((await each.check(harmless)).checked[0]).toBe(0)
  })

  test('a thread that never begins is no fault of the checks', async () => {
    const startsTooLate: Clock = {
      ...systemClock,
      after: (ms, call) => systemClock.after(ms === limits.risk.checkStartMs ? 0 : ms, call),
    }
    const each = start(startsTooLate)
    for (let i = 0; i <= limits.risk.lateChecksMax; i += 1)
      expect((await each.check({ checks: [finds('!')], texts, redactions: [] })).checked).toEqual([null])
    expect(late).toBe(0)
  })

  test('blanks in the midst of a sum cost a check no more than other text', async () => {
    const check: Check = { kind: 'validator', of: 'answer', check: 'arithmetic' }
    const question = `1+${' '.repeat(limits.risk.textCharactersMax)}1`
    const found = await start().check({ checks: [check], texts: { question, answer: '2' }, redactions: [] })
    expect(found.checked).toEqual([0])
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
