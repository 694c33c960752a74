/** The small real model of tests and measurements: `PACELINE_TEST_MODEL`, else the default model of the model store. */
import { existsSync } from 'node:fs'

export function testModel(): string | null {
  const path = process.env['PACELINE_TEST_MODEL']
  return path !== undefined && existsSync(path) ? path : null
}

export function modelPath(): string {
  const path = testModel()
  if (path === null) throw new Error('PACELINE_TEST_MODEL must name a GGUF file')
  return path
}
