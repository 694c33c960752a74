/**
 * The same surface through OpenAI's Python client, in a virtual environment of the project's cache that is made on the first run.
 */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cacheDirOf } from '../../cli/config.ts'
import { testModel } from '../bench/harness/model.ts'
import { type Platform, startPlatform } from '../bench/harness/platform.ts'
import { whyNoPlatform } from './support/needs.ts'

const version = '3.54.0'
const folder = join(cacheDirOf(process.env, process.platform), 'tools', `openai-python-${version}`)
const python = join(folder, 'bin', 'python')
const reason = whyNoPlatform() ?? whyNoClient()
if (reason !== null) console.warn(`OpenAI's Python client is not tested: ${reason}`)

/** Makes the environment where it is missing; why that does not work here, or null. */
function whyNoClient(): string | null {
  const run = (program: string, ...args: string[]) => execFileSync(program, args, { stdio: 'pipe', timeout: 240_000 })
  try {
    if (!existsSync(python)) run('python3', '-m', 'venv', folder)
    run(python, '-c', `import openai; assert openai.__version__ == "${version}"`)
    return null
  } catch {
    return install(run)
  }
}

function install(run: (program: string, ...args: string[]) => unknown): string | null {
  try {
    run(python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', `openai==${version}`)
    return null
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    return `python3 -m venv and pip install openai==${version} do not work here (${String(error).split('\n')[0]})`
  }
}

describe.skipIf(reason !== null)("OpenAI's Python client", () => {
  const apiKey = 'sk-python-0123456789'
  let platform: Platform
  beforeAll(async () => {
    const modelPath = testModel() ?? ''
    const engine = { slots: 2, contextTokensMax: 512, threads: 1 }
    platform = await startPlatform({
      name: 'openai-python',
      apiKeys: { [apiKey]: 'tests' },
      deployments: [
        { name: 'smol', modelPath, spec: { engine } },
        { name: 'embed', modelPath, spec: { engine: { ...engine, embeddings: true } } },
      ],
    })
  })
  afterAll(() => platform.stop())

  test('passes every check of the surface', async () => {
    const script = join(import.meta.dirname, 'support', 'openaiClient.py')
    const env = { ...process.env, BASE_URL: `${platform.url}/v1`, API_KEY: apiKey, MODEL: 'smol', EMBED_MODEL: 'embed' }
    const { stdout } = await promisify(execFile)(python, [script], { env }).catch((error: { stdout: string }) => error)
    const lines = stdout.trim().split('\n')
    expect(lines.filter((line) => !line.startsWith('ok '))).toEqual([])
    expect(lines.length).toBeGreaterThan(9)
  })
})
