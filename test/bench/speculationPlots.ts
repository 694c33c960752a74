/**
 * Draws the figures of `docs/speculation.md` into `docs/figures`, from the results that lie in `test/bench/results`.
 *
 * Run: `npm run bench -- speculationPlots`, after whatever was measured anew. `npm test` says where a figure is not of its results.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { print } from './harness/report.ts'
import { figuresFolder, speculationFigures } from './harness/speculationFigures.ts'

mkdirSync(figuresFolder, { recursive: true })
const figures = speculationFigures()
const page = readFileSync(join(figuresFolder, '..', 'speculation.md'), 'utf8')
for (const name of readdirSync(figuresFolder))
  if (/^speculation-.*\.svg$/.test(name) && !figures.has(name)) rmSync(join(figuresFolder, name))
for (const [name, svg] of figures) {
  writeFileSync(join(figuresFolder, name), svg)
  print(`written: docs/figures/${name}`)
  if (!page.includes(name)) print(`  not on the page yet: ![${name}](figures/${name})`)
}
