/** What earlier runs of the same measurement have left, for measurements that are made in parts. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { resultsFolder } from './report.ts'

/** The list under `key` in the results of that name; empty where there are none, or none of that form. */
export function earlierList<T>(name: string, key: string, item: z.ZodType<T>): T[] {
  const file = join(resultsFolder, `${name}.json`)
  if (!existsSync(file)) return []
  const parsed = z.object({ [key]: z.array(item) }).safeParse(JSON.parse(readFileSync(file, 'utf8')))
  return parsed.success ? (parsed.data[key] ?? []) : []
}

/** What is measured anew takes the place of what is equal by `keyOf`. */
export function joinParts<T>(earlier: readonly T[], measured: readonly T[], keyOf: (item: T) => string): T[] {
  return [...new Map([...earlier, ...measured].map((item) => [keyOf(item), item])).values()]
}
