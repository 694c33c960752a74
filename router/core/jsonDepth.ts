/**
 * How deep a JSON text nests, read from its bytes before any parser sees it.
 *
 * JSON.parse and every recursive walk after it use stack per level; ten thousand levels are a few kilobytes of text. The scan is
 * iterative, stops at the bound, and needs no valid JSON: brackets inside strings do not count, everything else does.
 */
const quote = 0x22
const backslash = 0x5c

export function isDeeperThan(json: Uint8Array, depthMax: number): boolean {
  let depth = 0
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]
    if (byte === quote) i = endOfString(json, i)
    else if (byte === 0x7b || byte === 0x5b) {
      depth += 1
      if (depth > depthMax) return true
    } else if (byte === 0x7d || byte === 0x5d) depth -= 1
  }
  return false
}

/** Index of the closing quote; the text's end where there is none. */
function endOfString(json: Uint8Array, start: number): number {
  for (let i = json.indexOf(quote, start + 1); i >= 0; i = json.indexOf(quote, i + 1)) {
    let escapes = 0
    while (json[i - 1 - escapes] === backslash) escapes += 1
    if (escapes % 2 === 0) return i
  }
  return json.length
}

/** Depth of a parsed value, for what was parsed within a larger bound: `depthMax` + 1 where it is deeper. */
export function depthOf(value: unknown, depthMax: number): number {
  if (typeof value !== 'object' || value === null) return 0
  if (depthMax === 0) return 1
  let deepest = 0
  for (const inner of Object.values(value)) deepest = Math.max(deepest, depthOf(inner, depthMax - 1))
  return deepest + 1
}
