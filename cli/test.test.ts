import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { countsOf, needsSetUp, projectsIn } from './test.ts'

function report(value: unknown): string {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-report-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'report.json')
  writeFileSync(path, JSON.stringify(value))
  return path
}

test('counts come from the report, and a file that could not be loaded is a failure', () => {
  const counts = { numPassedTests: 3, numFailedTests: 1, numPendingTests: 2, numTodoTests: 1 }
  expect(countsOf(report(counts))).toEqual({ passed: 3, failed: 1, skipped: 3 })
  const broken = [
    { status: 'failed', assertionResults: [] },
    { status: 'failed', assertionResults: [{}] },
  ]
  expect(countsOf(report({ ...counts, testResults: broken }))).toEqual({ passed: 3, failed: 2, skipped: 3 })
})

test('a run without a report is a failure', () => {
  expect(countsOf('/nowhere')).toEqual({ passed: 0, failed: 1, skipped: 0 })
})

test('only runs that may need tools get them', () => {
  const needs = (...args: string[]) => needsSetUp(projectsIn(args))
  expect(needs()).toBe(true)
  expect(needs('--project', 'unit', '--project=tidy')).toBe(false)
  expect(needs('--project', 'unit', '--project', 'integration')).toBe(true)
})
