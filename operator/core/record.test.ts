import { expect, test } from 'vitest'
import { recordOf } from './record.ts'
import { desiredFor, observedOf, registrationOf, specOf, workerOf } from './testing.ts'

const desired = desiredFor(specOf({ context: 4096 }))
const { revision } = desired

test('before any worker is ready the record says what the resource asks for', () => {
  expect(recordOf(observedOf({ desired }), desired, 0)).toMatchObject({
    revision,
    contextTokensMax: 4096,
    created: 1_700_000_000,
  })
})

test('while a rollout runs it speaks for the worker that serves', () => {
  const registration = registrationOf('old', 'before', { contextTokensMax: 512 })
  const workers = [workerOf('old', 'before', { said: 'ready', registration }), workerOf('new', revision)]
  const record = recordOf(observedOf({ desired, workers }), desired, 0)
  expect(record).toMatchObject({ revision: 'before', contextTokensMax: 512, servedNames: ['smol'] })
  const both = [
    ...workers,
    workerOf('new2', revision, { said: 'ready', registration: registrationOf('new2', revision) }),
  ]
  expect(recordOf(observedOf({ desired, workers: both }), desired, 0)).toMatchObject({
    revision,
    contextTokensMax: 2048,
  })
})

test('what was published of a ready worker holds while its registration is not known', () => {
  const published = { ...recordOf(observedOf({ desired }), desired, 0), contextTokensMax: 99, created: 5 }
  const workers = [workerOf('w', revision, { said: 'ready' })]
  expect(recordOf(observedOf({ desired, workers, published }), desired, 0)).toEqual(published)
})
