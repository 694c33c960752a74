import { describe, expect, test } from 'vitest'
import { paths, places, product, type SourceFile, sources, textOf } from './tree.ts'

describe('nothing is left for later', () => {
  test('no test is switched off or singled out', () => {
    // What cannot run on this machine is skipped by a condition, or under a name that holds the reason.
    const isConditional = /\? \w+ : \w+\.skip\b|\.skip\(`[^`]*\$\{/
    const off = /\b(?:test|it|describe|bench)\.(?:only|skip|todo|fails)\b/
    const wrong = sources.flatMap((file) =>
      places(file, off).filter((place) => !isConditional.test(lineAt(file, place))),
    )
    expect(wrong).toEqual([])
  })

  test('no note to self', () => {
    // Written apart, so that this file is not its own first finding.
    const note = new RegExp(
      `\\b(?:${['TO', 'FIX', 'HA', 'X'].map((start, index) => start + ['DO', 'ME', 'CK', 'XX'][index]).join('|')})\\b`,
    )
    expect(sources.flatMap((file) => places(file, note, 'text'))).toEqual([])
  })
})

describe('types', () => {
  test('are never any, and null is never denied', () => {
    const wrong = sources.flatMap((file) => places(file, /\bas any\b|: any\b|<any>/))
    expect(wrong).toEqual([])
  })

  test('are never switched off', () => {
    const off = /@ts-(?:ignore|nocheck|expect-error)|(?:oxlint|eslint)-disable(?!-next-line \S+ -- )|biome-ignore/
    const wrong = sources
      .filter((file) => file.path !== 'test/tidy/words.test.ts')
      .flatMap((file) => places(file, off, 'text'))
    expect(wrong).toEqual([])
  })

  test('can be stripped: no enum, namespace or decorator', () => {
    expect(sources.flatMap((file) => places(file, /^\s*(?:export )?(?:const )?(?:enum|namespace) \w+ *\{/m))).toEqual(
      [],
    )
  })
})

describe('effects', () => {
  // The whole system runs on a fake clock and seeded randomness in `test/simulate`; one direct call would escape it.
  const mayTouchTime = (path: string) =>
    path === 'runtime/clock.ts' || path.endsWith('/main.ts') || path === 'cli/bootstrap.mjs'
  const mayReadEnvironment = (path: string) =>
    /(^|\/)(config|main)\.ts$/.test(path) || path === 'runtime/shutdown.ts' || path === 'cli/bootstrap.mjs'

  test('time and chance are given, never taken', () => {
    const taken = /\b(?:setTimeout|setInterval|Date\.now|performance\.now|Math\.random)\b|\bnew Date\(\)/
    expect(product.filter((file) => !mayTouchTime(file.path)).flatMap((file) => places(file, taken))).toEqual([])
  })

  test('only config.ts and main.ts read the environment', () => {
    const wrong = product
      .filter((file) => !mayReadEnvironment(file.path))
      .flatMap((file) => places(file, /\bprocess\.env\b/))
    expect(wrong).toEqual([])
  })

  test('only the logger and the command line write to the terminal', () => {
    const mayPrint = (path: string) => /^cli\/|\/main\.ts$|^runtime\/log\.ts$/.test(path)
    const printed = /\bconsole\.\w+|\bprocess\.std(?:out|err)\b/
    expect(product.filter((file) => !mayPrint(file.path)).flatMap((file) => places(file, printed))).toEqual([])
  })
})

describe('names that cross a process boundary', () => {
  test('subjects are built in contracts/subjects.ts only', () => {
    const may = ['contracts/subjects.ts', 'contracts/permissions.ts']
    const wrong = product
      .filter((file) => !may.includes(file.path))
      .flatMap((file) => places(file, /['"`]paceline\.v1\./, 'text'))
    expect(wrong).toEqual([])
  })

  test('metrics are named in contracts only, in the files that list them', () => {
    const name = /['"`](?:vllm:\w+|paceline_\w+)/
    const may = /^contracts\/(?:metrics|\w+Metrics|subjects)\.ts$/
    expect(product.filter((file) => !may.test(file.path)).flatMap((file) => places(file, name, 'text'))).toEqual([])
  })
})

describe('the tree belongs to everybody', () => {
  const isText = (path: string) => /\.(ts|mjs|json|md|ya?ml|sh|npmrc|gitignore)$|\/run$/.test(path)
  const texts = paths
    .filter((path) => isText(path) && path !== 'test/tidy/words.test.ts')
    .map((path) => ({ path, text: textOf(path) }))

  test('no path of one machine', () => {
    const own = /(?<![\w.@~/-])\/(?:work|root|home\/\w+|Users\/\w+)\/[\w.-]+/
    expect(
      texts.filter(({ text }) => own.test(text)).map(({ path, text }) => `${path}: ${own.exec(text)?.[0]}`),
    ).toEqual([])
  })

  test('no registry: where packages come from is the business of whoever installs them', () => {
    const host = /registry\.npmjs|registry\.yarnpkg|files\.pythonhosted|"resolved":|--index-url|index-url ?=/
    expect(
      texts.filter(({ text }) => host.test(text)).map(({ path, text }) => `${path}: ${host.exec(text)?.[0]}`),
    ).toEqual([])
  })
})

const lineAt = (file: SourceFile, place: string) => file.text.split('\n')[Number(/:(\d+) /.exec(place)?.[1]) - 1] ?? ''
