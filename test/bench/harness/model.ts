/** The small real model of tests and measurements: `PACELINE_TEST_MODEL`, else what the cache holds of `examples/local.yaml`. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ModelDeployment } from '#contracts/resources/modelDeployment.ts'
import { cacheDirOf } from '../../../cli/config.ts'
import { projectFolder } from './machine.ts'

export function testModel(): string | null {
  const named = process.env['PACELINE_TEST_MODEL']
  if (named !== undefined) return existsSync(named) ? named : null
  const text = readFileSync(join(projectFolder, 'examples', 'local.yaml'), 'utf8')
  const sha256 = ModelDeployment.parse(parse(text)).spec.target?.sha256 ?? ''
  const path = join(cacheDirOf(process.env, process.platform), 'models', 'sha256', `${sha256}.gguf`)
  return existsSync(path) ? path : null
}

export function modelPath(): string {
  const path = testModel()
  if (path === null)
    throw new Error('no model: run npm start once, which fetches one, or name a GGUF file in PACELINE_TEST_MODEL')
  return path
}
