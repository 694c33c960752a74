/**
 * What several test files share and the first that wants it makes: a file runs in a process of its own, and several run at a time.
 *
 * Marks in a folder are the lock and the news; whoever comes while it is being made waits. What failed once is not tried again:
 * a cluster that does not come up would cost every file its minutes.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Hopeless, waitFor } from './commands.ts'

/** Longer than whatever is made may take: the maker has bounds of its own and says more. */
const waitMsMax = 280_000

export async function once(folder: string, name: string, make: () => Promise<void>): Promise<void> {
  const mark = (state: string) => join(folder, `${name}.${state}`)
  if (existsSync(mark('made'))) return
  if (isFirst(mark('making'))) return making(mark, make)
  await waitFor({ what: `${name}, which another test file makes`, waitMsMax, everyMs: 200 }, () => {
    if (existsSync(mark('failed')))
      throw new Hopeless(`${name} failed in another test file: ${readFileSync(mark('failed'), 'utf8')}`)
    return Promise.resolve(existsSync(mark('made')))
  })
}

async function making(mark: (state: string) => string, make: () => Promise<void>): Promise<void> {
  try {
    await make()
  } catch (error) {
    // Whole at once for those who look.
    writeFileSync(mark('failing'), error instanceof Error ? error.message : String(error))
    renameSync(mark('failing'), mark('failed'))
    throw error
  }
  writeFileSync(mark('made'), '')
}

function isFirst(path: string): boolean {
  try {
    mkdirSync(path)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}
