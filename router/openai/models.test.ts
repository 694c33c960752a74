import { expect, test } from 'vitest'
import { modelRecord } from '../testing/fakeWorker.ts'
import { modelBody } from './models.ts'

test('a model says from which file it answers, so that a calibration can be bound to it', () => {
  expect(modelBody({ record: modelRecord(), ready: true }, 'smol').paceline).not.toHaveProperty('model')
  const record = modelRecord({ model: 'ab'.repeat(32) })
  expect(modelBody({ record, ready: true }, 'smol').paceline.model).toBe('ab'.repeat(32))
})
