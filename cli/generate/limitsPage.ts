/** Every bound with its value, from the object, and its reason, from the comment above it in the source. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { limits } from '#contracts/limits.ts'
import { markdownTable, page } from './markdown.ts'

export function limitsPage(root: string): string {
  const sources = ['limits.ts', 'routeLimits.ts'].map((file) => readFileSync(join(root, 'contracts', file), 'utf8'))
  const reasons = new Map(sources.flatMap((source) => [...reasonsIn(source)]))
  const sections = Object.entries(limits).flatMap(([section, bounds]) => [
    `## ${section}`,
    markdownTable(
      ['bound', 'value', 'reason'],
      Object.entries(bounds).map(([name, value]) => [
        `\`${name}\``,
        readable(name, value),
        reasons.get(`${section}.${name}`) ?? '',
      ]),
    ),
  ])
  return page(
    'Limits',
    'contracts/limits.ts',
    'Nothing waits, grows or retries without a bound. Milliseconds (`Ms`) and bytes (`Bytes`) stand in the names.',
    sections,
  )
}

/** A comment belongs to the bound on the next line that names one. */
export function reasonsIn(source: string): Map<string, string> {
  const reasons = new Map<string, string>()
  let section = ''
  let comment = ''
  for (const line of source.split('\n')) {
    const named = /^ {2}(\w+): \{$/.exec(line)?.[1]
    if (named !== undefined) section = named
    // The file's own header and what stands between sections belong to no bound.
    if (named !== undefined || line.startsWith('export')) comment = ''
    const text = /^\s*(?:\/\*\*|\*)\s?(.*?)\s*(?:\*\/)?$/.exec(line)?.[1]
    if (text !== undefined && text !== '/') comment = `${comment} ${text}`.trim()
    const bound = /^ {4}(\w+):/.exec(line)?.[1]
    if (bound === undefined) continue
    if (comment !== '') reasons.set(`${section}.${bound}`, comment)
    comment = ''
  }
  return reasons
}

function readable(name: string, value: number): string {
  const [kib, mib] = [1024, 1024 * 1024]
  if (!/bytes/i.test(name)) return String(value)
  if (value >= mib && value % mib === 0) return `${value / mib} MiB`
  return value >= kib && value % kib === 0 ? `${value / kib} KiB` : String(value)
}
