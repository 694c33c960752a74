/** Labelled Secrets as API keys. Pure. What is said about a bad one never holds what is in it. */
import { ApiKeySecret, apiKeySecretType } from '#contracts/resources/apiKey.ts'
import { nameOf, type Secret } from './objects.ts'

export interface ApiKeys {
  readonly keys: readonly ApiKeySecret[]
  readonly problems: readonly string[]
}

export function readApiKeys(secrets: Iterable<Secret>): ApiKeys {
  const keys: ApiKeySecret[] = []
  const problems: string[] = []
  for (const secret of secrets) {
    const parsed = ApiKeySecret.safeParse(plainOf(secret))
    if (parsed.success) keys.push(parsed.data)
    else
      problems.push(
        ...parsed.error.issues.map(({ path, message }) => `Secret ${nameOf(secret)}: ${path.join('.')}: ${message}`),
      )
  }
  return { keys, problems }
}

/** As a person would have written it. */
function plainOf(secret: Secret): unknown {
  const stringData = Object.fromEntries(
    Object.entries(secret.data ?? {}).map(([key, value]) => [key, Buffer.from(value, 'base64').toString('utf8')]),
  )
  const { type = apiKeySecretType } = secret
  const metadata = { name: nameOf(secret) }
  return { apiVersion: 'v1', kind: 'Secret', type, metadata, stringData }
}
