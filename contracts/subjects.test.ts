import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DeploymentName, WorkerId } from './ids.ts'
import { parseReport, parseWorkerInbox, subjects } from './subjects.ts'

const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,40}$/)

test('what a subject is built from can be read back from it', () => {
  fc.assert(
    fc.property(token, token, (a, b) => {
      const worker = WorkerId.parse(a)
      const deployment = DeploymentName.parse(b)
      for (const kind of ['dispatch', 'cancel', 'resend', 'drain'] as const) {
        expect(parseWorkerInbox(subjects[kind](worker))).toEqual({ worker, kind })
      }
      expect(parseReport(subjects.report(deployment, worker))).toEqual({ deployment, worker })
    }),
  )
})

test.each([
  '',
  'paceline.v1.worker.w1',
  'paceline.v1.worker.w1.dispatch.x',
  'paceline.v2.worker.w1.dispatch',
  'paceline.v1.worker.w1.other',
  'other.v1.worker.w1.dispatch',
])('the foreign subject "%s" is not taken for ours', (subject) => {
  expect(parseWorkerInbox(subject)).toBeNull()
  expect(parseReport(subject)).toBeNull()
})
