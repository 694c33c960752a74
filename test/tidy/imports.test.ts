import { describe, expect, test } from 'vitest'
import { product, type SourceFile } from './tree.ts'

/**
 * Who may import whom. An arrow that points backwards makes a cycle sooner or later, and two parts that import each other can
 * no longer be deployed, tested or understood apart.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  contracts: ['contracts'],
  algorithms: ['contracts', 'algorithms'],
  runtime: ['contracts', 'algorithms', 'runtime', 'package.json'],
  operator: ['contracts', 'algorithms', 'runtime', 'operator'],
  router: ['contracts', 'algorithms', 'runtime', 'router'],
  'gpu-worker': ['contracts', 'algorithms', 'runtime', 'gpu-worker'],
  charts: ['contracts', 'runtime', 'charts'],
  images: ['contracts', 'runtime', 'images'],
  cli: ['contracts', 'algorithms', 'runtime', 'operator', 'router', 'gpu-worker', 'charts', 'images', 'cli'],
}

const partOf = (path: string) => path.split('/')[0] ?? ''
const inCore = product.filter((file) => file.path.split('/').includes('core') || partOf(file.path) === 'algorithms')
/** Functions of their arguments; of `node:crypto` only the hash is. */
const purePackages = ['node:assert', 'node:assert/strict', 'node:util', 'node:crypto', 'zod']
const impureNames = /\b(?:randomBytes|randomUUID|randomInt|getRandomValues|webcrypto)\b/

function broken(
  files: readonly SourceFile[],
  isBroken: (file: SourceFile, imported: SourceFile['imports'][number]) => boolean,
) {
  return files.flatMap((file) =>
    file.imports
      .filter((imported) => isBroken(file, imported))
      .map((imported) => `${file.path} imports ${imported.specifier}`),
  )
}

describe('imports', () => {
  test('point only from shells to what they stand on', () => {
    const wrong = broken(product, (file, { path }) => {
      const allowed = mayImport[partOf(file.path)]
      return path !== null && allowed !== undefined && !allowed.includes(partOf(path))
    })
    expect(wrong).toEqual([])
  })

  test('between parts are written with #, inside a part they are relative', () => {
    // `cli` starts the parts, which have no # name because nobody else may import them.
    const wrong = broken(product, (file, { path, specifier }) => {
      if (path === null || path === 'package.json') return false
      const isOwn = partOf(path) === partOf(file.path)
      const isPart = ['operator', 'router', 'gpu-worker', 'charts', 'images'].includes(partOf(path))
      return specifier.startsWith('#') ? isOwn : !isOwn && !(partOf(file.path) === 'cli' && isPart)
    })
    expect(wrong).toEqual([])
  })

  test('never bring test code into the product', () => {
    expect(broken(product, (_, { path }) => path !== null && /^test\/|\.test\.ts$/.test(path))).toEqual([])
  })

  test('of Node carry the node: prefix, and of files their extension', () => {
    const bare =
      /^(fs|path|os|http|https|net|crypto|child_process|url|util|stream|events|assert|buffer|zlib|timers)(\/|$)/
    const wrong = broken(
      product,
      (_, { path, specifier }) => bare.test(specifier) || (path !== null && !/\.\w+$/.test(path)),
    )
    expect(wrong).toEqual([])
  })
})

describe('what decides is pure: core/ and algorithms/', () => {
  test('import only contracts, algorithms and each other', () => {
    // Types of a port are fine: they leave no trace at run time.
    const wrong = broken(inCore, (file, { path, specifier, isType }) => {
      if (isType || purePackages.includes(specifier)) return false
      if (path === null) return true
      const isOwn =
        partOf(path) === partOf(file.path) && (path.split('/').includes('core') || partOf(path) === 'algorithms')
      return !isOwn && partOf(path) !== 'contracts' && partOf(path) !== 'algorithms'
    })
    expect(wrong).toEqual([])
  })

  test('know no chance', () => {
    expect(inCore.filter((file) => impureNames.test(file.code)).map((file) => file.path)).toEqual([])
  })

  test('are never asynchronous: a decision that waits has a snapshot that is no longer true', () => {
    const wrong = inCore.filter((file) => /\basync\b|\bawait\b|\bPromise\b/.test(file.code)).map((file) => file.path)
    expect(wrong).toEqual([])
  })
})
