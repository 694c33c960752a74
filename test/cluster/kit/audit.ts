/** The API server's audit log: who asked for what, when, and what the answer was. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import * as z from 'zod'

const Line = z.object({
  auditID: z.string(),
  verb: z.string(),
  requestURI: z.string(),
  user: z.object({ username: z.string() }),
  userAgent: z.string().optional(),
  sourceIPs: z.array(z.string()).default([]),
  objectRef: z
    .object({
      resource: z.string().optional(),
      subresource: z.string().optional(),
      namespace: z.string().optional(),
      name: z.string().optional(),
    })
    .optional(),
  responseStatus: z.object({ code: z.number().optional() }).optional(),
  requestReceivedTimestamp: z.string(),
  stageTimestamp: z.string(),
  annotations: z.record(z.string(), z.string()).optional(),
})

export interface AuditEntry {
  readonly id: string
  readonly verb: string
  readonly user: string
  readonly agent: string
  /** Of whoever asked: a pod's own. */
  readonly address: string
  /** `pods`, `modeldeployments/status`, … */
  readonly resource: string
  readonly namespace: string
  readonly name: string
  readonly code: number
  readonly uri: string
  readonly receivedAt: Date
  readonly answeredAt: Date
}

export const writes: readonly string[] = ['create', 'update', 'patch', 'delete', 'deletecollection']

/** Reads on where it stopped the last time: a test that waits for a write looks a hundred times a second. */
export class AuditLog {
  readonly #path: string
  readonly #entries: AuditEntry[] = []
  #bytesRead = 0

  constructor(path: string) {
    this.#path = path
  }

  /** Oldest first. */
  entries(): readonly AuditEntry[] {
    const fresh = readFrom(this.#path, this.#bytesRead)
    // The last line may still be being written.
    const complete = fresh.subarray(0, fresh.lastIndexOf(0x0a) + 1)
    this.#bytesRead += complete.length
    for (const line of complete.toString().split('\n'))
      if (line !== '') this.#entries.push(entryOf(Line.parse(JSON.parse(line))))
    return this.#entries
  }
}

function readFrom(path: string, position: number): Buffer {
  if (!existsSync(path)) return Buffer.alloc(0)
  const file = openSync(path, 'r')
  try {
    const content = Buffer.alloc(Math.max(0, fstatSync(file).size - position))
    return content.subarray(0, readSync(file, content, 0, content.length, position))
  } finally {
    closeSync(file)
  }
}

function entryOf(line: z.infer<typeof Line>): AuditEntry {
  const { resource = '', subresource, namespace = '', name = '' } = line.objectRef ?? {}
  return {
    id: line.auditID,
    verb: line.verb,
    user: line.user.username,
    agent: line.userAgent ?? '',
    address: line.sourceIPs[0] ?? '',
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace,
    name,
    code: line.responseStatus?.code ?? 0,
    uri: line.requestURI,
    receivedAt: new Date(line.requestReceivedTimestamp),
    answeredAt: new Date(line.stageTimestamp),
  }
}
