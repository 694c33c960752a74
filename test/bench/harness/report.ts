/**
 * What a measurement leaves behind: a table for people, one JSON file with machine, versions and commit, and an exit status.
 *
 * A requirement is a figure with its bound; a miss is printed as plainly as a hit, and makes the process end with 1.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { machine } from './machine.ts'
import type { Spread } from './statistics.ts'

export const resultsFolder = join(dirname(fileURLToPath(import.meta.url)), '..', 'results')

export interface Requirement {
  readonly what: string
  readonly measured: number
  readonly bound: { readonly atLeast: number } | { readonly atMost: number }
  readonly unit: string
}

export const meets = ({ measured, bound }: Requirement): boolean =>
  'atLeast' in bound ? measured >= bound.atLeast : measured <= bound.atMost

export class Report {
  readonly #name: string
  readonly #title: string
  readonly #requirements: Requirement[] = []
  readonly #data: Record<string, unknown> = {}

  constructor(name: string, title: string) {
    this.#name = name
    this.#title = title
    print(`\n${title}\n${'='.repeat(title.length)}`)
  }

  /** Raw figures for the JSON file. */
  add(key: string, value: unknown): void {
    this.#data[key] = value
  }

  table(title: string, header: readonly string[], rows: readonly (readonly string[])[]): void {
    print(`\n${title}\n${formatTable(header, rows)}`)
    this.#data[`table: ${title}`] = { header, rows }
  }

  note(text: string): void {
    print(text)
  }

  require(requirement: Requirement): void {
    this.#requirements.push(requirement)
  }

  /** Prints the requirements, writes the file, and returns the exit status. */
  finish(options: { quick: boolean }): 0 | 1 {
    const missed = this.#requirements.filter((requirement) => !meets(requirement))
    if (this.#requirements.length > 0)
      print(`\n${formatTable(['requirement', 'measured', 'bound', ''], this.#requirements.map(requirementRow))}`)
    const file = this.save(options)
    print(
      `\nwritten: ${file}\n${this.#requirements.length - missed.length} of ${this.#requirements.length} requirements met`,
    )
    return missed.length === 0 ? 0 : 1
  }

  /** Writes what there is so far: a long run that is ended early has not been for nothing. Returns the file. */
  save(options: { quick: boolean }): string {
    const file = join(resultsFolder, `${this.#name}${options.quick ? '.quick.local' : ''}.json`)
    mkdirSync(resultsFolder, { recursive: true })
    const content = {
      title: this.#title,
      quick: options.quick,
      machine: machine(),
      requirements: this.#requirements,
      ...this.#data,
    }
    writeFileSync(file, `${JSON.stringify(content, null, 1)}\n`)
    return file
  }
}

function requirementRow(requirement: Requirement): string[] {
  const { bound } = requirement
  const text = 'atLeast' in bound ? `>= ${bound.atLeast}` : `<= ${bound.atMost}`
  const value = Number.isFinite(requirement.measured) ? figure(requirement.measured) : 'no figure'
  return [requirement.what, `${value} ${requirement.unit}`.trim(), text, meets(requirement) ? 'met' : 'MISSED']
}

/** Three significant digits, which is more than most of these measurements hold. */
export function figure(value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (value !== 0 && Math.abs(value) < 1) return value.toFixed(3)
  if (Math.abs(value) < 10) return value.toFixed(2)
  return Math.abs(value) < 100 ? value.toFixed(1) : Math.round(value).toLocaleString('en-US')
}

export const spreadText = (value: Spread): string =>
  value.count === 0 ? '-' : `${figure(value.median)} (${figure(value.min)}..${figure(value.max)})`

export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)))
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, column) => (cells[column] ?? '').padEnd(width)).join(' | ')} |`
  return [line(header), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n')
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
