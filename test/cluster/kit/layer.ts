/**
 * One layer of an image, from files of this machine: no base image, nothing downloaded.
 *
 * A dynamic program brings the libraries that `ldd` names. A layer is kept in the cache under what it was made from (paths,
 * sizes, times), because the one with Node in it is large and seldom changes.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { type Entry, tar } from './tar.ts'

export interface Layer {
  readonly file: string
  /** Of the uncompressed bytes: nothing is compressed, import is faster so. */
  readonly sha256: string
  readonly bytes: number
}

export class LayerPlan {
  readonly #entries = new Map<string, Entry>()

  folder(path: string, mode = 0o755): this {
    return this.#put(path, { kind: 'folder', mode })
  }

  text(path: string, text: string): this {
    return this.#put(path, { kind: 'text', text, mode: 0o644 })
  }

  /** A file, or a folder with what `isWanted` lets in; `isWanted` is asked with paths relative to `source`. */
  add(source: string, path: string, isWanted: (path: string) => boolean = () => true, below = ''): this {
    const status = lstatSync(source)
    if (status.isSymbolicLink()) return this.#put(path, { kind: 'link', to: readlinkSync(source) })
    if (status.isDirectory()) {
      this.folder(path)
      for (const name of readdirSync(source)) {
        const next = posix.join(below, name)
        if (isWanted(next)) this.add(join(source, name), posix.join(path, name), isWanted, next)
      }
      return this
    }
    if (status.size > 64 && isProgram(source)) this.#addLibraries(source)
    return this.#put(path, { kind: 'file', source, mode: (status.mode & 0o111) === 0 ? 0o644 : 0o755 })
  }

  /** Libraries that are opened by name at run time, which `ldd` does not see; those that are missing are left out. */
  addLibrariesBeside(program: string, names: readonly string[]): this {
    const folder = dirname(librariesOf(program).find((path) => path.includes('/libc.so')) ?? '/lib/libc.so')
    for (const path of names.map((name) => join(folder, name)).filter(existsSync)) this.add(realpathSync(path), path)
    return this
  }

  #addLibraries(program: string): void {
    for (const path of librariesOf(program))
      if (!this.#entries.has(path)) this.#put(path, { kind: 'file', source: realpathSync(path), mode: 0o755 })
  }

  #put(path: string, entry: Entry): this {
    const name = posix.normalize(`/${path}`)
    for (let above = posix.dirname(name); above !== '/'; above = posix.dirname(above))
      if (!this.#entries.has(above)) this.#entries.set(above, { kind: 'folder', mode: 0o755 })
    this.#entries.set(name, entry)
    return this
  }

  /** The layer's file, made now or found in `cacheFolder`. */
  make(cacheFolder: string): Layer {
    mkdirSync(cacheFolder, { recursive: true })
    const entries = [...this.#entries].toSorted(([one], [other]) => (one < other ? -1 : 1))
    const file = join(cacheFolder, `${fingerprint(entries)}.tar`)
    const known = knownLayer(file)
    if (known !== null) return known
    const making = `${file}.${process.pid}`
    const output = openSync(making, 'w')
    const hash = createHash('sha256')
    let bytes = 0
    for (const chunk of tar(entries.map(([name, entry]) => [name.slice(1), entry] as const))) {
      hash.update(chunk)
      bytes += writeSync(output, chunk)
    }
    closeSync(output)
    renameSync(making, file)
    const layer = { file, sha256: hash.digest('hex'), bytes }
    writeFileSync(`${file}.sum`, `${layer.sha256} ${bytes}\n`)
    return layer
  }
}

function knownLayer(file: string): Layer | null {
  if (!existsSync(file) || !existsSync(`${file}.sum`)) return null
  const [sha256 = '', bytes = ''] = readFileSync(`${file}.sum`, 'utf8').trim().split(' ')
  return sha256.length === 64 ? { file, sha256, bytes: Number(bytes) } : null
}

function fingerprint(entries: readonly (readonly [string, Entry])[]): string {
  const hash = createHash('sha256')
  for (const [name, entry] of entries) {
    const status = entry.kind === 'file' ? lstatSync(entry.source) : null
    hash.update(JSON.stringify([name, entry, status?.size, status?.mtimeMs]))
  }
  return hash.digest('hex').slice(0, 32)
}

function isProgram(path: string): boolean {
  const file = openSync(path, 'r')
  const start = Buffer.alloc(4)
  readSync(file, start, 0, 4, 0)
  closeSync(file)
  return start.readUInt32BE(0) === 0x7f454c46
}

/** Also the loader; nothing for a static program, at which `ldd` fails. */
function librariesOf(program: string): string[] {
  try {
    const text = execFileSync('ldd', [program], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const paths = [...text.matchAll(/(?:=>\s*)?(\/\S+)\s+\(0x/g)].map((match) => match[1] ?? '')
    // Libraries that lie beside it travel with its own folder.
    return paths.filter((path) => path.startsWith('/lib') || path.startsWith('/usr/lib'))
  } catch {
    return []
  }
}
