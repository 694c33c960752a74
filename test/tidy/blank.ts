/**
 * Source text with everything that is not code blanked: comments, insides of strings, of templates and of regular expressions.
 *
 * A scanner of a few states, not a parser: it only has to tell code from words about code. Code inside `${…}` stays.
 */
export function blank(text: string): string {
  const out = text.split('')
  /** Depth of braces at which each open `${` began. */
  const templates: number[] = []
  let depth = 0
  let at = 0
  const wipe = (from: number, to: number) => {
    for (let index = from; index < to; index += 1) if (out[index] !== '\n') out[index] = ' '
  }
  const skipTemplate = (from: number) => {
    const end = endOfTemplate(text, from)
    wipe(from, end.at)
    if (end.kind === 'hole') {
      templates.push(depth)
      depth += 1
    }
    return end.at + (end.kind === 'hole' ? 2 : 1)
  }
  while (at < text.length) {
    const length = lengthOfWords(text, at)
    if (length > 0) {
      const keepsEnds = text[at] === "'" || text[at] === '"'
      wipe(at + (keepsEnds ? 1 : 0), at + length - (keepsEnds ? 1 : 0))
      at += length
    } else if (text[at] === '`') at = skipTemplate(at + 1)
    else if (text[at] === '}' && depth - 1 === templates.at(-1)) {
      templates.pop()
      depth -= 1
      at = skipTemplate(at + 1)
    } else {
      if (text[at] === '{') depth += 1
      if (text[at] === '}') depth -= 1
      at += 1
    }
  }
  return out.join('')
}

/** Length of the comment, string or regular expression that begins here; 0 where none does. */
function lengthOfWords(text: string, at: number): number {
  const rest = (pattern: RegExp) => {
    pattern.lastIndex = at
    return pattern.exec(text)?.[0].length ?? 0
  }
  if (text.startsWith('//', at)) return rest(/[^\n]*/y)
  if (text.startsWith('/*', at)) return rest(/[\s\S]*?\*\//y)
  if (text[at] === "'") return rest(/'(?:\\.|[^'\\\n])*'/y)
  if (text[at] === '"') return rest(/"(?:\\.|[^"\\\n])*"/y)
  if (text[at] === '/' && beginsRegExp(text, at)) return rest(/\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+\//y)
  return 0
}

/** After a value a slash divides; after an operator or a keyword it begins a regular expression. */
function beginsRegExp(text: string, at: number): boolean {
  const before = text.slice(Math.max(0, at - 20), at).trimEnd()
  return before === '' || /[(,=:[!&|?{};+\-*%<>~^]$/.test(before) || /\b(?:return|typeof|case|of|in)$/.test(before)
}

function endOfTemplate(text: string, from: number): { kind: 'hole' | 'end'; at: number } {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '`') return { kind: 'end', at }
    else if (text.startsWith('${', at)) return { kind: 'hole', at }
  }
  return { kind: 'end', at: text.length }
}
