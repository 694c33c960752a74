/**
 * `node images/sbom/main.ts --output <file> [--omit optional] [--more <folder>]`: the software bill of materials of an image
 * (CycloneDX), from the lock file in the working folder, and of further folders. npm writes it; what would differ from build to
 * build is made a function of the sources. Runs while an image is built, with nothing but Node and npm.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { merged, nodeComponent, reproducible } from './reproducible.ts'

const { values } = parseArgs({
  options: {
    output: { type: 'string' },
    omit: { type: 'string', multiple: true },
    more: { type: 'string', multiple: true },
  },
})
if (values.output === undefined) throw new Error('--output <file> is missing')

const omitted = ['dev', ...(values.omit ?? [])].flatMap((kind) => ['--omit', kind])
const ofFolder = (cwd: string): unknown =>
  JSON.parse(
    execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only', ...omitted], {
      cwd,
      encoding: 'utf8',
      maxBuffer: 64 * 1024 * 1024,
    }),
  )

const own = process.cwd()
const lockFiles = [own, ...(values.more ?? [])].map((folder) => readFileSync(join(folder, 'package-lock.json')))
const documents = [own, ...(values.more ?? [])].map(ofFolder)
const sourceDateEpoch = Number(process.env['SOURCE_DATE_EPOCH'] ?? 0)
writeFileSync(
  values.output,
  `${JSON.stringify(reproducible(merged([...documents, nodeComponent(process.versions.node)]), { sourceDateEpoch, lockFiles }), null, 2)}\n`,
)
