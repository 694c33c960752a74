/**
 * What node's HTTP parser refuses before there is a request: broken or conflicting heads, heads that are too large or too slow.
 *
 * Answered by hand on the raw socket, in the same error shape as everything else, and only where nothing was sent on that
 * connection that the answer could get mixed up with.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { errorJson } from './openai/errors.ts'

const answers: Readonly<Record<string, readonly [string, string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'the request did not arrive within the time limit; send it faster'],
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'the headers are too large; send fewer or shorter ones'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['413 Content Too Large', 'the chunk extensions of the body are too large'],
}
const otherwise = [
  '400 Bad Request',
  'the request is not valid HTTP/1.1; check its head and the length of its body',
] as const

/** The newest response of each connection. */
export class AnsweringSockets {
  readonly #responses = new WeakMap<object, ServerResponse>()

  begin(request: IncomingMessage, response: ServerResponse): void {
    this.#responses.set(request.socket, response)
  }

  /** Part of an answer was sent and the rest is to come: nothing else may be written there. */
  has(socket: Duplex): boolean {
    const response = this.#responses.get(socket)
    return response !== undefined && response.headersSent && !response.writableFinished
  }
}

export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex, isAnswering: boolean): void {
  if (error.code === 'ECONNRESET' || !socket.writable || isAnswering) {
    socket.destroy()
    return
  }
  const [status, message] = answers[error.code ?? ''] ?? otherwise
  const body = errorJson({ message, type: 'invalid_request_error', code: 'bad_request', param: null })
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  )
}
