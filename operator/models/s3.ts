/**
 * `s3://bucket/key` as an address that can be fetched: signed in its query (AWS Signature Version 4), so that resumed requests need
 * no new signature; plain where there are no credentials (public buckets). Pure: the instant is passed in.
 */
import { createHash, createHmac } from 'node:crypto'

export interface S3Settings {
  /** Of a store that is not Amazon's; the bucket is then a part of the path. */
  readonly endpoint: string | null
  readonly region: string
  readonly credentials: S3Credentials | null
}
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string | null
}

/** A large model on a slow line takes long, and each part of it asks again. */
const expiresSecondsDefault = 7 * 24 * 3_600

export function s3Url(
  { bucket, key }: { readonly bucket: string; readonly key: string },
  settings: S3Settings,
  at: { readonly iso: string; readonly expiresSeconds?: number },
): URL {
  const path = key.split('/').map(encode).join('/')
  const base =
    settings.endpoint === null
      ? `https://${bucket}.s3.${settings.region === 'us-east-1' ? '' : `${settings.region}.`}amazonaws.com/${path}`
      : `${settings.endpoint.replace(/\/+$/, '')}/${encode(bucket)}/${path}`
  const url = new URL(base)
  return settings.credentials === null ? url : signed(url, settings.region, settings.credentials, at)
}

function signed(
  url: URL,
  region: string,
  { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
  { iso, expiresSeconds = expiresSecondsDefault }: { readonly iso: string; readonly expiresSeconds?: number },
): URL {
  const instant = iso.replaceAll(/[-:]|\.\d+/g, '')
  const day = instant.slice(0, 8)
  const scope = `${day}/${region}/s3/aws4_request`
  const fields = {
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${accessKeyId}/${scope}`,
    'X-Amz-Date': instant,
    'X-Amz-Expires': String(expiresSeconds),
    ...(sessionToken === null ? {} : { 'X-Amz-Security-Token': sessionToken }),
    'X-Amz-SignedHeaders': 'host',
  }
  const query = Object.entries(fields)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .toSorted()
    .join('&')
  const request = ['GET', url.pathname, query, `host:${url.host}\n`, 'host', 'UNSIGNED-PAYLOAD'].join('\n')
  const digest = createHash('sha256').update(request).digest('hex')
  const text = ['AWS4-HMAC-SHA256', instant, scope, digest].join('\n')
  const key = [day, region, 's3', 'aws4_request'].reduce<Buffer | string>(hmac, `AWS4${secretAccessKey}`)
  const signature = hmac(key, text).toString('hex')
  return new URL(`${url.origin}${url.pathname}?${query}&X-Amz-Signature=${signature}`)
}

const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** As the signature's own rules have it: everything but letters, digits and `-._~`. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}
