/**
 * `helm template` and `helm lint` of our chart, and what they print as objects. No cluster is asked; what needs one stands in
 * `test/cluster`.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import * as z from 'zod'
import { findProgram } from '../../cluster/kit/programs.ts'
import { root } from '../../tidy/tree.ts'

export const helm = findProgram('helm')
export const chart = join(root, 'charts', 'paceline')
export const whyNoHelm = (): string | null =>
  helm === null ? 'no helm on PATH or in the cache (npm run test:cluster builds it)' : null

/** Of the objects of a chart only what every one of them has is known; tests look further with `at`. */
const Manifest = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
})
export type Manifest = z.infer<typeof Manifest>

export interface Rendered {
  readonly code: number | null
  readonly output: string
  readonly objects: readonly Manifest[]
  /** Throws where there is none. */
  object(kind: string, name: string): Manifest
}

export interface RenderOptions {
  readonly release?: string
  readonly namespace?: string
  /** Another copy of the chart. */
  readonly from?: string
}

export function render(values: unknown = {}, options: RenderOptions = {}): Rendered {
  return withValues(values, (file) => {
    const place = ['--namespace', options.namespace ?? 'llm', '--values', file]
    const name = options.release ?? 'paceline'
    const { code, stdout, output } = run(['template', name, options.from ?? chart, ...place])
    const documents = code === 0 ? parseAllDocuments(stdout).map((document) => document.toJS() as unknown) : []
    const objects = documents.filter((each) => each !== null).map((each) => Manifest.parse(each))
    return {
      code,
      output: code === 0 ? stdout : output,
      objects,
      object(kind, wanted) {
        const found = objects.find((each) => each.kind === kind && each.metadata.name === wanted)
        if (found !== undefined) return found
        throw new Error(
          `no ${kind} ${wanted} in: ${objects.map((each) => `${each.kind} ${each.metadata.name}`).join(', ')}\n${output}`,
        )
      },
    }
  })
}

/** Helm prints the notes at an installation only; here they are a template like any other, in a copy of the chart. */
export function renderNotes(values: unknown): string {
  return withFolder((folder) => {
    cpSync(chart, folder, { recursive: true })
    renameSync(join(folder, 'templates', 'NOTES.txt'), join(folder, 'files', 'notes.txt'))
    const object = 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: notes }\n'
    writeFileSync(
      join(folder, 'templates', 'notes.yaml'),
      `${object}data:\n  notes: |\n    {{- tpl (.Files.Get "files/notes.txt") . | nindent 4 }}\n`,
    )
    return String(at(render(values, { from: folder }).object('ConfigMap', 'notes'), 'data', 'notes'))
  })
}

export const lint = (values: unknown = {}) =>
  withValues(values, (file) => run(['lint', '--strict', chart, '--values', file]))

/** `at(object, 'spec', 'containers', 0, 'image')`; undefined where a step leads nowhere. */
export function at(value: unknown, ...path: readonly (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, step) => (typeof inner === 'object' && inner !== null ? (Reflect.get(inner, step) as unknown) : undefined),
    value,
  )
}

/** As `at`, for lists; empty where there is none. */
export function listAt(value: unknown, ...path: readonly (string | number)[]): readonly unknown[] {
  const found = at(value, ...path)
  return Array.isArray(found) ? found : []
}

function run(args: readonly string[]) {
  if (helm === null) throw new Error('no helm')
  const { status, stdout, stderr } = spawnSync(helm, args, { encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 })
  return { code: status, stdout, output: `${stdout}${stderr}` }
}

function withValues<T>(values: unknown, act: (file: string) => T): T {
  return withFolder((folder) => {
    // JSON is YAML that no version of YAML reads differently.
    const file = join(folder, 'values.json')
    writeFileSync(file, JSON.stringify(values))
    return act(file)
  })
}

function withFolder<T>(act: (folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-chart-'))
  try {
    return act(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
