/**
 * Who is asking: `Authorization: Bearer <key>` → the key's tenant, weight and priority, from the bucket of hashed keys.
 *
 * Open while no key is configured. Neither a key nor its hash is logged or put into a message.
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

/** Headers of known keys whose hash is remembered. */
const rememberedMax = 1_024

export class Authenticator {
  readonly #source: KeySource
  /** Hashing takes a fortieth of a request's time. Only what was a key once is kept, so guessing fills nothing. */
  readonly #hashes = new Map<string, string>()

  constructor(source: KeySource) {
    this.#source = source
  }

  /** Throws `Failure('unauthenticated')`, or `bus-unavailable` while it is not known yet which keys there are. */
  authenticate(authorization: string | undefined): KeyRecord {
    if (!this.#source.synced)
      throw new Failure('bus-unavailable', 'the router has not loaded its configuration yet; try again shortly', {
        retry: { kind: 'after', afterMs: 1_000 },
      })
    if (this.#source.isOpen) return everybody
    const remembered = authorization === undefined ? undefined : this.#hashes.get(authorization)
    const sha256 = remembered ?? hashOf(authorization)
    const record = this.#source.key(sha256)
    if (record === undefined)
      throw new Failure('unauthenticated', 'the API key is not known here; check it, or ask the operator for one')
    if (remembered === undefined && authorization !== undefined) this.#remember(authorization, sha256)
    return record
  }

  #remember(authorization: string, sha256: string): void {
    if (this.#hashes.size >= rememberedMax) this.#hashes.clear()
    this.#hashes.set(authorization, sha256)
  }
}

function hashOf(authorization: string | undefined): string {
  const key = authorization === undefined ? undefined : bearer.exec(authorization)?.[1]
  if (key !== undefined) return hash('sha256', key, 'hex')
  throw new Failure('unauthenticated', 'no API key given; send it in the header "Authorization: Bearer <key>"')
}
