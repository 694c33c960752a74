import { expect, test } from 'vitest'
import { Failure, failureCodes, type FailureCode } from '#contracts/failure.ts'
import { errorBody, retryAfterSeconds, statusOf } from './errors.ts'

const codes = Object.keys(failureCodes) as FailureCode[]

test('every failure code has its HTTP status', () => {
  expect(Object.fromEntries(codes.map((code) => [code, statusOf(code)]))).toEqual({
    'invalid-request': 400,
    'context-exceeded': 400,
    unauthenticated: 401,
    'model-not-found': 404,
    unsupported: 400,
    'body-too-large': 413,
    'request-timeout': 408,
    refused: 429,
    expired: 503,
    aborted: 503,
    cancelled: 499,
    'cluster-refused': 500,
    'cluster-unavailable': 503,
    'no-worker': 503,
    'worker-lost': 503,
    'bus-unavailable': 503,
    draining: 503,
    'engine-fault': 500,
    'native-fault': 500,
    'model-unusable': 503,
    'download-failed': 503,
    'tool-missing': 500,
    'invalid-configuration': 500,
    'lease-lost': 500,
    'message-invalid': 500,
  })
})

test('429 and 503 say when to try again, in whole seconds of at least one; nothing else does', () => {
  for (const code of codes) {
    const seconds = retryAfterSeconds(new Failure(code, 'x', { retry: { kind: 'after', afterMs: 1_200 } }))
    expect(seconds).toBe([429, 503].includes(statusOf(code)) ? 2 : null)
  }
  expect(retryAfterSeconds(new Failure('refused', 'x', { retry: { kind: 'after', afterMs: 1 } }))).toBe(1)
})

test('the body has the four fields of OpenAI', () => {
  const body: unknown = JSON.parse(errorBody(new Failure('context-exceeded', 'too long', { param: 'messages' })))
  expect(body).toEqual({
    error: { message: 'too long', type: 'invalid_request_error', code: 'context_length_exceeded', param: 'messages' },
  })
})
