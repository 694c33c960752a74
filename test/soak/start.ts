/**
 * Soak: from a clean clone to the first answer, cold (empty caches) and again with everything cached.
 *
 *   node test/soak/start.ts [--warm-only] [--rounds 3] [--keep-cache folder]
 *
 * The clone is the last commit, not the working tree. Cold fetches everything a fresh machine would: packages, nats-server, model.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { scratchFolder } from '../bench/harness/cacheFolder.ts'
import { freePort } from '../bench/harness/child.ts'
import { projectFolder } from '../bench/harness/machine.ts'
import { readOptions } from '../bench/harness/options.ts'
import { print, Report } from '../bench/harness/report.ts'
import { spread } from '../bench/harness/statistics.ts'

const options = readOptions({ rounds: 3, quickRounds: 1 })
const report = new Report('start', 'npm start: from a clean clone to the first answer')
const folder = scratchFolder('soak-start')
const clone = join(folder, 'clone')
const port = await freePort()
// npm's own cache is a cache too: cold means cold.
const environment = { ...process.env, PACELINE_CACHE: join(folder, 'cache'), npm_config_cache: join(folder, 'npm') }
try {
  execFileSync('git', ['clone', '--quiet', projectFolder, clone])
  const coldMs = await startAskStop('cold')
  report.add('coldMs', coldMs)
  report.require({ what: 'first answer, nothing cached', measured: coldMs / 1_000, bound: { atMost: 300 }, unit: 's' })
  const warmMs: number[] = []
  for (let round = 0; round < options.rounds; round += 1) warmMs.push(await startAskStop(`cached ${round + 1}`))
  report.add('warmMs', warmMs)
  report.require({
    what: 'first answer, everything cached',
    measured: spread(warmMs).max / 1_000,
    bound: { atMost: 10 },
    unit: 's',
  })
} finally {
  rmSync(folder, { recursive: true, force: true })
}
process.exit(report.finish({ quick: options.quick }))

/** From the command to the first answer of the model; then stops it and sees that nothing is left. */
async function startAskStop(name: string): Promise<number> {
  mkdirSync(environment.PACELINE_CACHE, { recursive: true })
  const startedAt = performance.now()
  await npm(['start', '--', '--port', String(port), '--detach'])
  const readyMs = performance.now() - startedAt
  const answer = await ask()
  const answeredMs = performance.now() - startedAt
  print(
    `${name}: ready after ${(readyMs / 1_000).toFixed(1)} s, answered after ${(answeredMs / 1_000).toFixed(1)} s: ${answer}`,
  )
  await npm(['stop', '--', '--port', String(port)])
  report.require({ what: `${name}: processes left`, measured: processesOf(clone), bound: { atMost: 0 }, unit: '' })
  return answeredMs
}

function npm(args: readonly string[]): Promise<void> {
  const child = spawn('npm', [...args], { cwd: clone, env: environment, stdio: ['ignore', 'ignore', 'inherit'] })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`npm ${args.join(' ')} ended with ${code}`)),
    )
  })
}

async function ask(): Promise<string> {
  const body = {
    model: 'smol',
    messages: [{ role: 'user', content: 'What is the capital of France?' }],
    max_tokens: 16,
  }
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    headers,
    body: JSON.stringify(body),
  })
  if (!response.ok) throw new Error(`status ${response.status}: ${await response.text()}`)
  return (await response.text()).slice(0, 300)
}

/** Processes whose command line names this folder. */
function processesOf(place: string): number {
  const lines = execFileSync('ps', ['-eo', 'args='], { encoding: 'utf8' }).split('\n')
  return lines.filter((line) => line.includes(place)).length
}
