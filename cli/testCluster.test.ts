import { expect, test } from 'vitest'
import { whyNotHere } from './testCluster.ts'

test('a test cluster wants Linux and root, and says which of them is missing', () => {
  expect(whyNotHere('linux', 0)).toBeNull()
  expect(whyNotHere('linux', 1_000)).toContain('root')
  expect(whyNotHere('darwin', 0)).toContain('this is darwin')
  expect(whyNotHere('win32', undefined)).toContain('Linux')
})
