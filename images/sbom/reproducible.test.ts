import { expect, test } from 'vitest'
import { merged, nodeComponent, reproducible } from './reproducible.ts'

const document = (serial: string) => ({
  bomFormat: 'CycloneDX',
  serialNumber: serial,
  metadata: { timestamp: serial, component: { 'bom-ref': 'paceline@0.1.0', name: 'folder' } },
  components: [{ name: 'a' }],
  dependencies: [{ ref: 'a' }],
})
const origin = { sourceDateEpoch: 1_700_000_000, lockFiles: [Buffer.from('lock')] }

test('two builds of one lock file give one document', () => {
  const first = reproducible(document('one'), origin)
  expect(reproducible(document('two'), origin)).toEqual(first)
  expect(first).toMatchObject({
    serialNumber: expect.stringMatching(
      /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
    ) as unknown,
    metadata: { timestamp: '2023-11-14T22:13:20.000Z', component: { name: 'paceline' } },
  })
})

test('another lock file gives another serial number', () => {
  const other = reproducible(document('one'), { ...origin, lockFiles: [Buffer.from('other')] })
  expect(other['serialNumber']).not.toBe(reproducible(document('one'), origin)['serialNumber'])
})

test('further folders add their components', () => {
  expect(merged([document('one'), { components: [{ name: 'b' }], dependencies: [] }])['components']).toEqual([
    { name: 'a' },
    { name: 'b' },
  ])
  expect(() => merged([document('one'), 'npm ERR!'])).toThrow('not a JSON object')
})

test('the Node of the image is listed too', () => {
  const { components } = merged([document('one'), nodeComponent('24.1.0')])
  expect(components).toContainEqual(expect.objectContaining({ name: 'node', purl: 'pkg:generic/node@24.1.0' }))
})
