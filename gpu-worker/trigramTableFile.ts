/**
 * Tri-gram tables as files, and the tokenizer they belong to. The only place that reads or writes them.
 *
 * A table is read whole into one buffer that the proposer uses as it is; workers on one machine share it through the page cache only
 * while reading, so its size counts once per worker.
 */
import { createHash } from 'node:crypto'
import { open, rename, rm, writeFile } from 'node:fs/promises'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { readTrigramTable, type TrigramTable } from './core/speculation/proposers/trigramTable.ts'
import type { ModelRunner } from './modelRunner.ts'

/**
 * Throws `Failure('invalid-configuration')` where the file is missing, damaged, or for another tokenizer than the expected one
 * (which the caller gets from `tokenizerDigest` of its runner).
 */
export async function loadTrigramTable(path: string, expected: { tokenizer?: string } = {}): Promise<TrigramTable> {
  const content = await contentOf(path)
  try {
    return readTrigramTable(content, expected)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    throw new Failure(error.code, `${path}: ${error.message}`, { cause: error })
  }
}

/** Under another name first: a reader never sees half a table. */
export async function saveTrigramTable(path: string, table: ArrayBuffer): Promise<void> {
  const unfinished = `${path}.unfinished`
  try {
    await writeFile(unfinished, new Uint8Array(table))
    await rename(unfinished, path)
  } finally {
    await rm(unfinished, { force: true })
  }
}

/** SHA-256 over every token's text: two models with the same digest mean the same by the same ids. About 3 µs per token. */
export function tokenizerDigest(
  runner: Pick<ModelRunner, 'specialText'> & { readonly info: Pick<ModelRunner['info'], 'vocabularySize'> },
): string {
  const hash = createHash('sha256')
  for (let token = 0; token < runner.info.vocabularySize; token++) hash.update(runner.specialText(token)).update('\0')
  return hash.digest('hex')
}

async function contentOf(path: string): Promise<ArrayBuffer> {
  try {
    await using file = await open(path)
    const { size } = await file.stat()
    if (size > limits.speculation.trigramTableBytesMax) throw tooLarge(path, size)
    const content = new Uint8Array(size)
    for (let at = 0; at < size; ) {
      const { bytesRead } = await file.read(content, at, size - at, at)
      if (bytesRead === 0) break
      at += bytesRead
    }
    return content.buffer
  } catch (cause) {
    if (cause instanceof Failure) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    const advice = 'name another file, or build one with paceline calibrate trigram'
    throw new Failure('invalid-configuration', `the tri-gram table ${path} cannot be read (${reason}); ${advice}`, {
      cause,
    })
  }
}

const tooLarge = (path: string, size: number) =>
  new Failure(
    'invalid-configuration',
    `${path} has ${size} bytes; a tri-gram table has at most ${limits.speculation.trigramTableBytesMax}`,
  )
