/**
 * `npm test`: brings what the tests need (nats-server, the small model, promtool), runs them, and ends with the plain line
 * `N passed, N failed, N skipped`. Arguments go to vitest.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as z from 'zod'
import type { Context } from './context.ts'
import { execute } from './execute.ts'
import { clusterEnvironment, environmentWith, testEnvironment } from './testEnvironment.ts'

const needNothing = ['unit', 'tidy', 'simulate']

export async function test(args: readonly string[], context: Context): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-test-'))
  try {
    const wanted = projectsIn(args)
    const environment = {
      // As `npm start` keeps it: tests start hundreds of processes, and each would spend half of its start on compiling the same files.
      NODE_COMPILE_CACHE: join(context.config.cacheDir, 'compiled'),
      ...(needsSetUp(wanted) ? await testEnvironment(context) : environmentWith([], context.config)),
      ...(needsCluster(wanted) ? await clusterEnvironment(context) : {}),
    }
    const report = join(folder, 'report.json')
    const code = await runVitest(args, report, environment, context)
    if (context.interrupts.first.aborted) return 130
    const counts = countsOf(report)
    // A run that failed without a failed test (a broken import, an unhandled rejection) must not read as a success.
    const failed = code !== 0 && counts.failed === 0 ? 1 : counts.failed
    context.terminal.line(`${counts.passed} passed, ${failed} failed, ${counts.skipped} skipped`)
    return failed === 0 ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What `--project` names, in either spelling; nothing stands for all. */
export function projectsIn(args: readonly string[]): string[] {
  return args.flatMap((arg, index) => {
    if (arg.startsWith('--project=')) return [arg.slice('--project='.length)]
    return arg === '--project' ? [args[index + 1] ?? ''] : []
  })
}

/** `--project unit --project tidy` needs no tools; anything else may. */
export function needsSetUp(projects: readonly string[]): boolean {
  return projects.length === 0 || projects.some((name) => !needNothing.includes(name))
}

function needsCluster(projects: readonly string[]): boolean {
  return projects.length === 0 || projects.includes('cluster')
}

async function runVitest(
  args: readonly string[],
  report: string,
  environment: Readonly<Record<string, string>>,
  { config, interrupts }: Context,
): Promise<number> {
  const vitest = join(config.root, 'node_modules', 'vitest', 'vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const { code } = await execute(process.execPath, [vitest, 'run', ...reporters, ...args], {
    cwd: config.root,
    environment,
    signal: interrupts.first,
    output: 'inherit',
  })
  return code ?? 1
}

const Report = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number().default(0),
  testResults: z.array(z.object({ status: z.string(), assertionResults: z.array(z.unknown()) })).default([]),
})

/** A file that could not even be loaded holds no test; it counts as one failure. */
export function countsOf(path: string): { passed: number; failed: number; skipped: number } {
  try {
    const report = Report.parse(JSON.parse(readFileSync(path, 'utf8')))
    const broken = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0)
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests + broken.length,
      skipped: report.numPendingTests + report.numTodoTests,
    }
  } catch {
    // vitest died before it could write one.
    return { passed: 0, failed: 1, skipped: 0 }
  }
}
