/**
 * The value of a sum that stands in a text: whole and decimal numbers, + - * / and brackets. The longest stretch of the text that is one.
 * Takes time in proportion to the text's length. Pure.
 */

/** Null: the text holds no sum of at least two numbers, or it divides by zero. */
export function valueOfSum(text: string): number | null {
  const sums = stretchesOf(text).flatMap((stretch) => {
    const value = evaluate(stretch)
    return value === null ? [] : [{ value, characters: stretch.length }]
  })
  return (
    sums.reduce<(typeof sums)[number] | null>(
      (best, each) => (best === null || each.characters > best.characters ? each : best),
      null,
    )?.value ?? null
  )
}

/** The last number of a text; thousands may be parted by commas. */
export function lastNumber(text: string): number | null {
  const found = text.match(/-?\d[\d,]*(?:\.\d+)?/g)?.at(-1)
  if (found === undefined) return null
  const value = Number(found.replaceAll(',', ''))
  return Number.isFinite(value) ? value : null
}

/** What could be sums: runs of their characters, with at least one operator between numbers. */
function stretchesOf(text: string): string[] {
  const runs =
    text
      .replaceAll(/[×·]/g, '*')
      .replaceAll('÷', '/')
      .replaceAll('−', '-')
      .match(/[\d.()+\-*/ ]+/g) ?? []
  // Looks back, so that blanks in the midst of a run are read once: without, each begins a search of its own to their end.
  return runs
    .map((run) => run.replace(/(?<![.\s])[.\s]+$/, '').trimStart())
    .filter((run) => /\d[\s)]*[+\-*/]/.test(run))
}

type Token = number | '+' | '-' | '*' | '/' | '(' | ')'

function evaluate(stretch: string): number | null {
  const tokens = tokensOf(stretch)
  if (tokens === null) return null
  const reader = new Reader(tokens)
  const value = reader.sum(0)
  return reader.isDone && value !== null && Number.isFinite(value) ? value : null
}

function tokensOf(stretch: string): Token[] | null {
  const tokens: Token[] = []
  for (const piece of stretch.match(/\d+(?:\.\d+)?|[+\-*/()]|\S/g) ?? []) {
    if (/^\d/.test(piece)) tokens.push(Number(piece))
    else if (isSign(piece)) tokens.push(piece)
    else return null
  }
  return tokens
}

const signs = ['+', '-', '*', '/', '(', ')'] as const
const isSign = (piece: string): piece is (typeof signs)[number] => signs.some((sign) => sign === piece)

/** Brackets nest as deep as a person would write them; deeper is no sum. */
const depthMax = 32

class Reader {
  readonly #tokens: readonly Token[]
  #at = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  get isDone(): boolean {
    return this.#at === this.#tokens.length
  }

  sum(depth: number): number | null {
    let value = this.#product(depth)
    while (value !== null && (this.#next === '+' || this.#next === '-')) {
      const sign = this.#take() === '+' ? 1 : -1
      const more = this.#product(depth)
      value = more === null ? null : value + sign * more
    }
    return value
  }

  #product(depth: number): number | null {
    let value = this.#factor(depth)
    while (value !== null && (this.#next === '*' || this.#next === '/')) {
      const isDivision = this.#take() === '/'
      const more = this.#factor(depth)
      value = more === null ? null : isDivision ? value / more : value * more
    }
    return value
  }

  #factor(depth: number): number | null {
    if (depth > depthMax) return null
    const token = this.#take()
    if (typeof token === 'number') return token
    if (token === '-') {
      const value = this.#factor(depth + 1)
      return value === null ? null : -value
    }
    if (token !== '(') return null
    const value = this.sum(depth + 1)
    return this.#take() === ')' ? value : null
  }

  get #next(): Token | undefined {
    return this.#tokens[this.#at]
  }

  #take(): Token | undefined {
    this.#at += 1
    return this.#tokens[this.#at - 1]
  }
}
