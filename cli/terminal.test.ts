import { expect, test } from 'vitest'
import { createFakeClock } from '#test/simulate/fakeClock.ts'
import { createTerminal, table } from './terminal.ts'

function written(isTTY: boolean) {
  const clock = createFakeClock()
  const out: string[] = []
  const stream = { isTTY, columns: 20, write: (text: string) => out.push(text) }
  return { clock, out, terminal: createTerminal(stream, stream, clock) }
}

test('on a terminal progress replaces itself and makes way for lines', () => {
  const { out, terminal } = written(true)
  terminal.progress('10%')
  terminal.progress('20%')
  terminal.line('done')
  expect(out).toEqual(['\r\u001b[K10%', '\r\u001b[K20%', '\r\u001b[K', 'done\n'])
})

test('progress never wraps: a wrapped line cannot be replaced', () => {
  const { out, terminal } = written(true)
  terminal.progress('x'.repeat(100))
  expect(out[0]).toHaveLength('\r\u001b[K'.length + 19)
})

test('in a log progress is a line every few seconds', async () => {
  const { out, terminal, clock } = written(false)
  terminal.progress('10%')
  terminal.progress('20%')
  await clock.advance(5_000)
  terminal.progress('30%')
  expect(out).toEqual(['10%\n', '30%\n'])
})

test('a table is as wide as its widest cells', () => {
  expect(
    table(
      ['A', 'B'],
      [
        ['long', 'x'],
        ['y', 'longer'],
      ],
    ),
  ).toEqual(['A     B', 'long  x', 'y     longer'])
})
