import { expect, test } from 'vitest'
import { s3Url } from './s3.ts'

// The example of Amazon's own documentation ("Authenticating Requests: Using Query Parameters").
const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: null,
}
const at = { iso: '2013-05-24T00:00:00.000Z', expiresSeconds: 86_400 }
const file = { bucket: 'examplebucket', key: 'test.txt' }

test('an address is signed as the documentation of S3 signs its example', () => {
  const url = s3Url(file, { endpoint: null, region: 'us-east-1', credentials }, at)
  expect(url.host).toBe('examplebucket.s3.amazonaws.com')
  expect(url.searchParams.get('X-Amz-Signature')).toBe(
    'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
  )
})

test('a public bucket is asked without a signature, another store by its own address', () => {
  expect(s3Url(file, { endpoint: null, region: 'eu-west-1', credentials: null }, at).href).toBe(
    'https://examplebucket.s3.eu-west-1.amazonaws.com/test.txt',
  )
  const minio = { endpoint: 'https://minio.local:9000/', region: 'us-east-1', credentials }
  const url = s3Url({ bucket: 'models', key: 'a b/c+d.gguf' }, minio, at)
  expect(url.pathname).toBe('/models/a%20b/c%2Bd.gguf')
  expect(url.searchParams.get('X-Amz-Credential')).toContain('/us-east-1/s3/')
})
