/**
 * Who is asking: `Authorization: Bearer <key>` → the key's tenant, weight and priority, from the bucket of hashed keys.
 *
 * Open while no key is configured. A key is hashed at once; neither it nor its hash is logged or put into a message.
 */
import { hash } from 'node:crypto'
import { Failure } from '#contracts/failure.ts'
import { TenantId } from '#contracts/ids.ts'
import type { KeyRecord } from '#contracts/records.ts'

export interface KeySource {
  readonly synced: boolean
  readonly isOpen: boolean
  key(sha256: string): KeyRecord | undefined
}

const everybody: KeyRecord = { tenant: TenantId.parse('public'), weight: 1, priority: 0 }
const bearer = /^Bearer +(\S+)$/i

/** Throws `Failure('unauthenticated')`, or `bus-unavailable` while it is not known yet which keys there are. */
export function authenticate(source: KeySource, authorization: string | undefined): KeyRecord {
  if (!source.synced)
    throw new Failure('bus-unavailable', 'the router has not loaded its configuration yet; try again shortly', {
      retry: { kind: 'after', afterMs: 1_000 },
    })
  if (source.isOpen) return everybody
  const key = authorization === undefined ? undefined : bearer.exec(authorization)?.[1]
  if (key === undefined)
    throw new Failure('unauthenticated', 'no API key given; send it in the header "Authorization: Bearer <key>"')
  const record = source.key(hash('sha256', key, 'hex'))
  if (record === undefined)
    throw new Failure('unauthenticated', 'the API key is not known here; check it, or ask the operator for one')
  return record
}
