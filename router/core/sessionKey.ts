/**
 * What keeps the requests of one client together. The order is the one that routers of this field agree on: the narrowest header
 * first, then the body. Without any of them each request stands for itself. Pure.
 */

export const sessionHeaders = ['x-session-id', 'x-user-id', 'x-tenant-id'] as const
export type SessionSource = (typeof sessionHeaders)[number] | 'user' | 'prompt_cache_key' | 'request'

export interface SessionKey {
  readonly source: SessionSource
  readonly value: string
}

/** The fields of a body that may name a session, under OpenAI's names. */
export interface SessionFields {
  readonly user?: string | undefined
  readonly prompt_cache_key?: string | undefined
}

export function sessionKeyOf(given: {
  readonly header: (name: string) => string | undefined
  readonly body: SessionFields
  readonly requestId: string
}): SessionKey {
  for (const source of sessionHeaders) {
    const value = given.header(source)
    if (value) return { source, value }
  }
  for (const source of ['user', 'prompt_cache_key'] as const) {
    const value = given.body[source]
    if (value) return { source, value }
  }
  return { source: 'request', value: given.requestId }
}
