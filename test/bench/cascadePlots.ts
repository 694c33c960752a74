/**
 * Draws the figure of `docs/cascade.md`, from the results of `npm run bench -- cascade`.
 *
 * Run: `npm run bench -- cascadePlots`. `npm test` says where the figure is not of its results.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { cascadeFigures } from './harness/cascadeFigures.ts'
import { print } from './harness/report.ts'
import { figuresFolder } from './harness/speculationFigures.ts'

mkdirSync(figuresFolder, { recursive: true })
for (const [name, svg] of cascadeFigures()) {
  writeFileSync(join(figuresFolder, name), svg)
  print(`written: docs/figures/${name}`)
}
