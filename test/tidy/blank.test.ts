import { describe, expect, test } from 'vitest'
import { blank } from './blank.ts'

describe('blank', () => {
  test('keeps code and lines, and wipes comments and strings', () => {
    const text = "const a = 'async' // async\n/* await\n */ async()"
    expect(blank(text)).toBe("const a = '     '         \n        \n    async()")
  })

  test('keeps code in the holes of a template, nested ones too', () => {
    expect(blank('`words ${one({ a: `x ${two}` })} words` + three')).toMatch(
      /^`\s+\$\{one\(\{ a: `\s+\$\{two\}`\s\}\)\}\s+` \+ three$/,
    )
  })

  test('tells a regular expression from a division', () => {
    expect(blank('a / b / c; x = /`/.test(y)')).toMatch(/^a \/ b \/ c; x = \s+\.test\(y\)$/)
  })
})
