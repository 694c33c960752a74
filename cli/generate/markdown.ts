/** The little Markdown that generated pages need: a header that says so, and tables whose cells cannot break them. */
export function page(title: string, source: string, introduction: string, parts: readonly string[]): string {
  const note = `<!-- Generated from ${source} by \`npm run generate\`; edit that instead. -->`
  return `${[`# ${title}`, note, introduction, ...parts].join('\n\n')}\n`
}

export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`
  return [line(header), `|${header.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
}

const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll(/\s*\n\s*/g, ' ')
