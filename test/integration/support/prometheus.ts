/** A real Prometheus that scrapes what it is told, every second; ended and removed by whoever started it. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod'
import { readCliConfig } from '../../../cli/config.ts'
import { prometheus, promtool } from '../../../cli/tools/prometheus.ts'
import { isProgram, type Tool } from '../../../cli/tools/tool.ts'
import { freePort } from './natsServer.ts'

export interface ScrapeTarget {
  /** As in `http://127.0.0.1:1234/metrics`. */
  readonly metricsUrl: string
  readonly labels: Readonly<Record<string, string>>
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Prometheus {
  query(expression: string): Promise<Sample[]>
  /** Targets that were scraped at least once, and well. */
  healthy(): Promise<number>
  /** Does `work` again and again until every target has been scraped, well, between two ends of it, `times` times. */
  whileScraped(times: number, work: () => Promise<void>): Promise<void>
  stop(): Promise<void>
}

export const findPrometheus = (): string | null => find(prometheus)
export const findPromtool = (): string | null => find(promtool)

const scrapedMsMax = 45_000

const Vector = z.object({
  status: z.literal('success'),
  data: z.object({
    result: z.array(z.object({ metric: z.record(z.string(), z.string()), value: z.tuple([z.number(), z.string()]) })),
  }),
})
const Targets = z.object({ data: z.object({ activeTargets: z.array(z.object({ health: z.string() })) }) })

export async function startPrometheus(program: string, targets: readonly ScrapeTarget[]): Promise<Prometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-prometheus-'))
  const store = join(folder, 'data')
  mkdirSync(store)
  const config = join(folder, 'prometheus.json')
  writeFileSync(config, JSON.stringify(configOf(targets)))
  const port = await freePort()
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${store}`, `--web.listen-address=127.0.0.1:${port}`]
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let words = ''
  child.stderr.on('data', (chunk: Buffer) => {
    words = (words + chunk.toString()).slice(-4_000)
  })
  const ask = async (path: string): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    const text = await response.text()
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`)
    return JSON.parse(text)
  }
  for (let attempt = 0; attempt < 300; attempt++) {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}: ${words}`)
    if (
      await fetch(`http://127.0.0.1:${port}/-/ready`).then(
        (response) => response.ok,
        () => false,
      )
    )
      break
    await sleep(50)
  }
  const query = async (expression: string): Promise<Sample[]> => {
    const { data } = Vector.parse(await ask(`/api/v1/query?query=${encodeURIComponent(expression)}`))
    return data.result.map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }))
  }
  return {
    query,
    async whileScraped(times, work) {
      const deadline = performance.now() + scrapedMsMax
      for (let left = times; left > 0; left -= 1) {
        const since = Date.now() / 1_000
        do {
          if (performance.now() > deadline) throw new Error(`not every target was scraped ${times} times in time`)
          await work()
        } while ((await query(`(timestamp(up) > ${since}) and (up == 1)`)).length < targets.length)
      }
    },
    async healthy() {
      const { data } = Targets.parse(await ask('/api/v1/targets?state=active'))
      return data.activeTargets.filter(({ health }) => health === 'up').length
    },
    async stop() {
      const gone = once(child, 'exit')
      if (child.exitCode === null && child.kill('SIGKILL')) await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function configOf(targets: readonly ScrapeTarget[]): object {
  return {
    global: { scrape_interval: '1s', scrape_timeout: '1s' },
    scrape_configs: targets.map(({ metricsUrl, labels }, index) => ({
      job_name: `target-${index}`,
      metrics_path: new URL(metricsUrl).pathname,
      static_configs: [{ targets: [new URL(metricsUrl).host], labels }],
    })),
  }
}

/** Runs promtool on files of this text; its exit code and words. */
export function runPromtool(args: readonly string[], files: Readonly<Record<string, string>>) {
  const program = findPromtool()
  if (program === null) throw new Error('no promtool')
  const folder = mkdtempSync(join(tmpdir(), 'paceline-promtool-'))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const { status, stdout, stderr } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' })
    return { code: status, output: `${stdout}${stderr}` }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function find(tool: Tool): string | null {
  const { cacheDir, searchPath } = readCliConfig(process.env, process.platform)
  const cached = join(cacheDir, 'tools', tool.folder, tool.name)
  return [...searchPath.map((folder) => join(folder, tool.name)), cached].find(isProgram) ?? null
}
