/** The model file that tests of real inference use: `PACELINE_TEST_MODEL`, or the default model in the model store. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirOf } from '../../cli/config.ts'

const defaultModelSha256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53'

export function testModel(): { kind: 'found'; path: string } | { kind: 'missing'; reason: string } {
  const named = process.env['PACELINE_TEST_MODEL'] ?? ''
  const stored = join(cacheDirOf(process.env, process.platform), 'models', 'sha256', `${defaultModelSha256}.gguf`)
  const path = named === '' ? stored : named
  if (existsSync(path)) return { kind: 'found', path }
  return {
    kind: 'missing',
    reason: `no model at ${path}: run npm start once, or set PACELINE_TEST_MODEL to a GGUF file`,
  }
}
