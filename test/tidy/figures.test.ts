import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { cascadeFigures } from '#test/bench/harness/cascadeFigures.ts'
import { figuresFolder, speculationFigures } from '#test/bench/harness/speculationFigures.ts'
import { ticksOf } from '#test/bench/harness/svgChart.ts'
import { exists, paths, textOf } from './tree.ts'

describe('figures', () => {
  test('are what `npm run bench -- speculationPlots` draws from the results that lie here', () => {
    const drawn = [...speculationFigures()]
    const old = drawn.filter(([name, svg]) => !existsSync(join(figuresFolder, name)) || committed(name) !== svg)
    expect(old.map(([name]) => name)).toEqual([])
    const present = paths.filter((path) => /^docs\/figures\/speculation-.*\.svg$/.test(path))
    expect(present.map((path) => path.slice('docs/figures/'.length))).toEqual(drawn.map(([name]) => name).toSorted())
  })

  test('of cascades are what `npm run bench -- cascadePlots` draws from the results that lie here', () => {
    const old = [...cascadeFigures()].filter(
      ([name, svg]) => !paths.includes(`docs/figures/${name}`) || committed(name) !== svg,
    )
    expect(old.map(([name]) => name)).toEqual([])
  })

  test('are shown on a page', () => {
    const pages = paths.filter((path) => path.endsWith('.md')).map(textOf)
    const figures = paths.filter((path) => path.startsWith('docs/figures/') && exists(path))
    expect(figures.filter((path) => !pages.some((text) => text.includes(path.slice('docs/'.length))))).toEqual([])
  })

  test('have round ticks from below the least to above the greatest value', () => {
    expect(ticksOf([0.97, 1.9])).toEqual([0.8, 1, 1.2, 1.4, 1.6, 1.8, 2])
    expect(ticksOf([0, 114])).toEqual([0, 25, 50, 75, 100, 125])
    expect(ticksOf([1, 1])).toEqual([1])
  })
})

const committed = (name: string) => textOf(`docs/figures/${name}`)
