/**
 * What a worker measured in an earlier life: cost curves and proofs of reproducibility, as files named by what they hold for.
 *
 * A cache and nothing more: whatever cannot be read or written is as if it had never been measured. Written whole and renamed,
 * because workers of one machine share the folder.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '#runtime/log.ts'

export type MeasurementKind = 'curve' | 'proof'

export interface MeasurementStore {
  /** Parsed JSON, unchecked; null where there is none. */
  read(kind: MeasurementKind, key: string): Promise<unknown>
  write(kind: MeasurementKind, key: string, value: unknown): Promise<void>
}

export function createMeasurementStore(options: { readonly folder: string; readonly log: Log }): MeasurementStore {
  const { folder, log } = options
  const pathOf = (kind: MeasurementKind, key: string) =>
    join(folder, `${kind}-${createHash('sha256').update(key).digest('hex').slice(0, 32)}.json`)
  return {
    async read(kind, key) {
      try {
        return JSON.parse(await readFile(pathOf(kind, key), 'utf8')) as unknown
      } catch (error) {
        log.debug({ kind, key, error }, 'nothing measured earlier')
        return null
      }
    },
    async write(kind, key, value) {
      const path = pathOf(kind, key)
      const temporary = `${path}.${process.pid}`
      try {
        await mkdir(folder, { recursive: true })
        await writeFile(temporary, JSON.stringify(value))
        await rename(temporary, path)
      } catch (error) {
        log.warn({ path, error }, 'measurement not kept: the next start measures again')
      }
    },
  }
}

/** Forgets everything: for tests and simulations. */
export const noMeasurements: MeasurementStore = {
  read: () => Promise.resolve(null),
  write: () => Promise.resolve(),
}
