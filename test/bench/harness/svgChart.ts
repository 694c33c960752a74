/**
 * Small charts as SVG text: lines over a number, or groups of bars, with axes, ticks and a legend. Pure: the same data give the same bytes.
 *
 * No background, and colours of middle lightness, because the pages that show them may be light or dark and do not say which.
 */
export interface ChartText {
  readonly title: string
  /** What the horizontal and the vertical axis count. */
  readonly across: string
  readonly up: string
}

export interface Series {
  readonly name: string
  /** In the order of x. */
  readonly points: readonly (readonly [x: number, y: number])[]
  readonly isDashed?: boolean
}

export interface BarGroup {
  readonly name: string
  /** By series; absent: no bar. */
  readonly values: readonly (number | null)[]
}

const size = { width: 680, height: 360 }
const plot = { left: 62, right: 500, top: 44, bottom: 304 }
const ink = '#7d828a'
const colours = ['#d64f5e', '#d98a1f', '#4f9e4a', '#2f8fc4', '#8d74d6', '#b0719a']
const colourOf = (index: number) => colours[index % colours.length] ?? ink

/** `level`: a value to compare with, drawn across. */
export function lineChart(text: ChartText, series: readonly Series[], level?: number): string {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(([x]) => x)))].toSorted((a, b) => a - b)
  const ys = series.flatMap(({ points }) => points.map(([, y]) => y))
  const ticks = ticksOf([...ys, ...(level === undefined ? [] : [level])])
  const y = scale([ticks[0] ?? 0, ticks.at(-1) ?? 1], [plot.bottom, plot.top])
  const x = scale([xs[0] ?? 0, xs.at(-1) ?? 1], [plot.left + 14, plot.right - 14])
  const lines = series.flatMap(({ points, isDashed = false }, index) => {
    const at = points.map(([px, py]) => `${fixed(x(px))},${fixed(y(py))}`)
    const dash = isDashed ? ' stroke-dasharray="6 4"' : ''
    return [
      `<polyline points="${at.join(' ')}" fill="none" stroke="${colourOf(index)}" stroke-width="2.2"${dash}/>`,
      ...points.map(
        ([px, py]) => `<circle cx="${fixed(x(px))}" cy="${fixed(y(py))}" r="3.2" fill="${colourOf(index)}"/>`,
      ),
    ]
  })
  return whole(text, [
    ...upAxis(ticks, y),
    ...(level === undefined ? [] : [across(y(level), 'stroke-width="1.2" stroke-dasharray="2 3"')]),
    ...xs.map((value) => label(String(value), { x: x(value), y: plot.bottom + 20, anchor: 'middle' })),
    ...lines,
    ...legend(series.map(({ name, isDashed }) => ({ name, isDashed: isDashed === true }))),
  ])
}

export function barChart(text: ChartText, names: readonly string[], groups: readonly BarGroup[]): string {
  const values = groups.flatMap((group) => group.values.filter((value) => value !== null))
  const ticks = ticksOf([0, ...values])
  const y = scale([0, ticks.at(-1) ?? 1], [plot.bottom, plot.top])
  const groupWidth = (plot.right - plot.left) / Math.max(1, groups.length)
  const barWidth = (0.8 * groupWidth) / Math.max(1, names.length)
  const bars = groups.flatMap((group, g) =>
    group.values.flatMap((value, i) => {
      if (value === null) return []
      const left = plot.left + g * groupWidth + 0.1 * groupWidth + i * barWidth
      const box = `x="${fixed(left)}" y="${fixed(y(value))}" width="${fixed(barWidth - 2)}" height="${fixed(plot.bottom - y(value))}"`
      return [
        `<rect ${box} fill="${colourOf(i)}"/>`,
        label(value.toFixed(0), { x: left + barWidth / 2 - 1, y: y(value) - 4, anchor: 'middle', size: 10 }),
      ]
    }),
  )
  const titles = groups.map(({ name }, g) =>
    label(name, { x: plot.left + (g + 0.5) * groupWidth, y: plot.bottom + 20, anchor: 'middle' }),
  )
  return whole(text, [...upAxis(ticks, y), ...titles, ...bars, ...legend(names.map((name) => ({ name })))])
}

/** Round steps from below the least to above the greatest. */
export function ticksOf(values: readonly number[]): number[] {
  const [least, greatest] = [Math.min(...values), Math.max(...values)]
  const rough = Math.max(greatest - least, Math.abs(greatest) / 100, 1e-9) / 5
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power
  const first = Math.floor(least / step)
  const count = Math.ceil(greatest / step) - first
  return Array.from({ length: count + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}

function scale(from: readonly [number, number], to: readonly [number, number]): (value: number) => number {
  const span = from[1] - from[0]
  return (value) => to[0] + (span === 0 ? 0.5 : (value - from[0]) / span) * (to[1] - to[0])
}

function upAxis(ticks: readonly number[], y: (value: number) => number): string[] {
  const digits = Math.max(...ticks.map((tick) => String(tick).split('.')[1]?.length ?? 0))
  return ticks.flatMap((tick) => [
    across(y(tick), 'stroke-width="1" stroke-opacity="0.28"'),
    label(tick.toFixed(digits), { x: plot.left - 8, y: y(tick) + 4, anchor: 'end' }),
  ])
}

const across = (y: number, look: string) =>
  `<line x1="${plot.left}" x2="${plot.right}" y1="${fixed(y)}" y2="${fixed(y)}" stroke="${ink}" ${look}/>`

function legend(entries: readonly { readonly name: string; readonly isDashed?: boolean }[]): string[] {
  return entries.flatMap(({ name, isDashed = false }, index) => {
    const y = plot.top + 12 + 22 * index
    const dash = isDashed ? ' stroke-dasharray="6 4"' : ''
    return [
      `<line x1="${plot.right + 14}" x2="${plot.right + 36}" y1="${y}" y2="${y}" stroke="${colourOf(index)}" stroke-width="3"${dash}/>`,
      label(name, { x: plot.right + 42, y: y + 4 }),
    ]
  })
}

function label(text: string, at: { x: number; y: number; anchor?: 'middle' | 'end'; size?: number }): string {
  const anchor = at.anchor === undefined ? '' : ` text-anchor="${at.anchor}"`
  const fontSize = at.size === undefined ? '' : ` font-size="${at.size}"`
  return `<text x="${fixed(at.x)}" y="${fixed(at.y)}"${anchor}${fontSize}>${escaped(text)}</text>`
}

function whole({ title, across: horizontal, up }: ChartText, parts: readonly string[]): string {
  const middle = (plot.left + plot.right) / 2
  const upAt = `transform="translate(16 ${(plot.top + plot.bottom) / 2}) rotate(-90)" text-anchor="middle"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${size.width} ${size.height}" role="img" font-family="system-ui, sans-serif" font-size="12" fill="${ink}">`,
    `<title>${escaped(title)}</title>`,
    `<text x="${plot.left}" y="22" font-size="14" font-weight="600">${escaped(title)}</text>`,
    `<text ${upAt}>${escaped(up)}</text>`,
    label(horizontal, { x: middle, y: plot.bottom + 42, anchor: 'middle' }),
    ...parts,
    '</svg>',
    '',
  ].join('\n')
}

const fixed = (value: number) => value.toFixed(1)
const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
