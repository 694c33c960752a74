/**
 * `npm run generate`: writes every file that is made from another one. `check` compares instead of writing, so a source and
 * what is made of it cannot drift apart.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Context } from './context.ts'
import { parseFlags } from './flags.ts'
import { crdFiles } from './generate/crds.ts'
import { chartFiles } from './generate/chartFiles.ts'
import { failuresPage } from './generate/failuresPage.ts'
import { limitsPage } from './generate/limitsPage.ts'
import { metricsPage } from './generate/metricsPage.ts'
import { resourcesPage } from './generate/resourcesPage.ts'

/** Path from the root → how its text is made. */
const pages: Readonly<Record<string, (root: string) => string>> = {
  ...crdFiles,
  ...chartFiles,
  'docs/reference/failures.md': failuresPage,
  'docs/reference/limits.md': limitsPage,
  'docs/reference/metrics.md': metricsPage,
  'docs/reference/resources.md': resourcesPage,
}

export function generate(args: readonly string[], { config, terminal }: Context): Promise<number> {
  parseFlags('generate', args, {})
  const stale = staleFiles(config.root)
  for (const path of stale) {
    const target = join(config.root, path)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, pages[path]?.(config.root) ?? '')
    terminal.line(`wrote ${path}`)
  }
  if (stale.length === 0) terminal.line('everything generated is up to date')
  return Promise.resolve(0)
}

export function staleFiles(root: string): string[] {
  return Object.entries(pages)
    .filter(([path, make]) => readOrNull(join(root, path)) !== make(root))
    .map(([path]) => path)
}

const readOrNull = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : null)
