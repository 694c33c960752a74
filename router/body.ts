/**
 * A request's body: read within a bound, then parsed without trusting it.
 *
 * Bytes → UTF-8 (fatal) → nesting within the bound → JSON. What is refused early is still read and thrown away for a while, because
 * a connection closed on unread bytes is reset, and the client would never see why it was refused.
 */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { isDeeperThan } from './core/jsonDepth.ts'

export interface BodyReader {
  body(bytes: Buffer): void
  refuse(failure: Failure): void
}

/** Calls one of the two, at most once; neither where the client left before its body was complete. */
export function readBody(request: IncomingMessage, bytesMax: number, reader: BodyReader): void {
  const refusal = refusalOf(request, bytesMax)
  if (refusal !== null) {
    discard(request, 0)
    reader.refuse(refusal)
    return
  }
  let chunks: Buffer[] = []
  let bytes = 0
  const onData = (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes <= bytesMax) {
      chunks.push(chunk)
      return
    }
    chunks = []
    request.off('data', onData).off('end', onEnd)
    discard(request, bytes)
    reader.refuse(tooLarge(`more than ${bytesMax}`, bytesMax))
  }
  const onEnd = () => reader.body(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks))
  request.on('data', onData).on('end', onEnd)
}

/** Throws the Failure to answer with. */
export function parseJson(bytes: Buffer): unknown {
  if (bytes.length === 0) throw new Failure('invalid-request', 'the body is empty; send a JSON object')
  if (!isUtf8(bytes)) throw new Failure('invalid-request', 'the body is not valid UTF-8; encode it as UTF-8')
  if (isDeeperThan(bytes, limits.http.jsonDepthMax))
    throw new Failure('invalid-request', `the body nests deeper than ${limits.http.jsonDepthMax} levels; flatten it`)
  const body = parseText(bytes)
  if (hasMoreFields(body, limits.http.jsonFieldsMax))
    throw new Failure(
      'invalid-request',
      `the body has more than ${limits.http.jsonFieldsMax} fields; send only what the API names`,
    )
  return body
}

function hasMoreFields(body: unknown, fieldsMax: number): boolean {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return false
  let fields = 0
  for (const _ in body) {
    fields += 1
    if (fields > fieldsMax) return true
  }
  return false
}

function parseText(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? cause.message : 'syntax error'
    throw new Failure('invalid-request', `the body is not valid JSON: ${reason}`, { cause })
  }
}

function refusalOf(request: IncomingMessage, bytesMax: number): Failure | null {
  const length = Number(request.headers['content-length'] ?? 0)
  if (length > bytesMax) return tooLarge(String(length), bytesMax)
  const encoding = request.headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity')
    return new Failure(
      'unsupported',
      `content-encoding '${encoding.slice(0, 32)}' is not supported: send the body as it is`,
    )
  const type = request.headers['content-type']
  // A web page may post text/plain or a form anywhere without asking first; JSON it may not.
  if (type === undefined || /^application\/(json|[\w.+-]+\+json)\b/i.test(type)) return null
  return new Failure('invalid-request', `content-type is '${type.slice(0, 64)}': send 'content-type: application/json'`)
}

function tooLarge(given: string, bytesMax: number): Failure {
  return new Failure('body-too-large', `the body has ${given} bytes, but at most ${bytesMax} are allowed; send less`)
}

function discard(request: IncomingMessage, already: number): void {
  let bytes = already
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > limits.http.discardBytesMax) request.destroy()
  })
}
