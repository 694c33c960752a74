/**
 * Reads of the API without a program: a test that waits asks several times a second, and a kubectl for each question would be most of
 * what a machine of two cores does.
 */
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { join } from 'node:path'
import type { Addresses } from './addresses.ts'

const timeoutMs = 10_000

/** What is below this path, as text; throws with the API's words. As the cluster's administrator. */
export type ReadApi = (path: string) => Promise<string>

export function apiReader({ folder, server }: Addresses): ReadApi {
  const pki = (file: string) => readFileSync(join(folder, 'pki', file))
  let agent: Agent | null = null
  return async (path) => {
    agent ??= new Agent({ keepAlive: true, ca: pki('ca.crt'), cert: pki('admin.crt'), key: pki('admin.key') })
    const { status, text } = await get(new URL(path, server), agent)
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${text.slice(0, 300)}`)
    return text
  }
}

function get(url: URL, agent: Agent): Promise<{ status: number; text: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; text: string }>()
  const asked = request(url, { agent, timeout: timeoutMs }, (response) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }))
    response.on('error', reject)
  })
  asked.on('timeout', () => asked.destroy(new Error(`GET ${url.pathname}: no answer in ${timeoutMs / 1_000} s`)))
  asked.on('error', (error) => {
    // The API was restarted since the last question.
    if (asked.reusedSocket) get(url, agent).then(resolve, reject)
    else reject(error)
  })
  asked.end()
  return promise
}
