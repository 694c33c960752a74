/**
 * Serves one model file to pods, as a model hub would: whatever path is asked for, with ranges, so that a fetch can be resumed.
 *
 *   node mirror.ts <address> <port> <file>
 *
 * It runs inside the box and ends with it.
 */
import { createReadStream, statSync } from 'node:fs'
import { createServer } from 'node:http'

const [, , host = '127.0.0.1', port = '0', file = ''] = process.argv
const { size } = statSync(file)

createServer((request, response) => {
  const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0)
  console.log(`${request.method ?? ''} ${request.url ?? ''} from ${start}`)
  if (start >= size) {
    response.writeHead(416, { 'content-range': `bytes */${size}` }).end()
    return
  }
  const headers = {
    'content-type': 'application/octet-stream',
    'accept-ranges': 'bytes',
    'content-length': size - start,
  }
  response.writeHead(start === 0 ? 200 : 206, { ...headers, 'content-range': `bytes ${start}-${size - 1}/${size}` })
  if (request.method === 'HEAD') response.end()
  else createReadStream(file, { start }).pipe(response)
}).listen(Number(port), host)
