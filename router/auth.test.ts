import { hash } from 'node:crypto'
import { expect, test } from 'vitest'
import { TenantId } from '#contracts/ids.ts'
import type { KeyRecord } from '#contracts/records.ts'
import { Authenticator } from './auth.ts'

const record: KeyRecord = { tenant: TenantId.parse('acme'), weight: 2, priority: 1 }

function sourceOf(...keys: string[]) {
  const records = new Map(keys.map((key) => [hash('sha256', key, 'hex'), record]))
  return { synced: true, isOpen: false, records, key: (sha256: string) => records.get(sha256) }
}

test('a key is known the first time and every time after it', () => {
  const authenticator = new Authenticator(sourceOf('secret'))
  for (const header of ['Bearer secret', 'Bearer secret', 'bearer  secret'])
    expect(authenticator.authenticate(header)).toEqual(record)
})

test('a key that was taken back is refused at once, however often it was used', () => {
  const source = sourceOf('secret')
  const authenticator = new Authenticator(source)
  authenticator.authenticate('Bearer secret')
  source.records.clear()
  expect(() => authenticator.authenticate('Bearer secret')).toThrow(/not known/)
})

test('what is no key is refused each time, and the reason does not repeat it', () => {
  const authenticator = new Authenticator(sourceOf('secret'))
  for (const header of ['Bearer guess', 'Bearer guess', 'Basic abc', '', undefined])
    expect(() => authenticator.authenticate(header)).toThrow(/^(no API key given|the API key is not known)(?!.*guess)/)
})

test('while no key is configured everybody is welcome; before that is known, nobody', () => {
  expect(new Authenticator({ ...sourceOf(), isOpen: true }).authenticate(undefined)).toMatchObject({ tenant: 'public' })
  expect(() => new Authenticator({ ...sourceOf(), synced: false }).authenticate(undefined)).toThrow(/try again/)
})
