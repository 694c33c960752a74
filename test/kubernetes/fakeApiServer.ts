/**
 * A small API server for unit tests, over real HTTP: versions, uids, generations, finalizers, deletion with grace, label selectors,
 * paged lists, watches with bookmarks, merge patch and as much of server-side apply as our own writes use. It misbehaves on
 * demand. What it does was compared with a real one by `test/cluster`; it is no substitute for that.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface StoredObject {
  apiVersion?: string
  kind?: string
  metadata: {
    name: string
    uid: string
    resourceVersion: string
    generation?: number
    creationTimestamp: string
    deletionTimestamp?: string
    deletionGracePeriodSeconds?: number
    labels?: Record<string, string>
    annotations?: Record<string, string>
    finalizers?: string[]
    ownerReferences?: unknown[]
  }
  [field: string]: unknown
}

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: unknown
}

/** What happens to one request instead of its answer. `lost`: carried out, but the answer never arrives; `hang`: nothing at all. */
export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly retryAfterSeconds?: number }
  | { readonly kind: 'cut' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'hang' }
  | null

interface Change {
  readonly version: number
  readonly collection: string
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: StoredObject
}

interface Watcher {
  readonly collection: string
  readonly selector: string | null
  readonly response: ServerResponse
}

export interface FakeApiServer extends AsyncDisposable {
  readonly url: string
  readonly requests: SeenRequest[]
  readonly watchers: number
  /** Decides on the fate of each request. */
  fault: (request: SeenRequest) => Fault
  /** How a watch's text is broken into pieces; default: as it is. */
  pieces: (text: string) => string[]
  objects(plural: string): StoredObject[]
  object(plural: string, name: string): StoredObject | undefined
  put(plural: string, object: object): StoredObject
  /** As `kubectl delete`. */
  delete(plural: string, name: string, graceSeconds?: number): void
  cutWatches(): void
  /** Older versions are forgotten: watches from there get 410. */
  compact(): void
  bookmark(): void
  /** Says the last changes again, as a server may after a reconnect. */
  repeat(count: number): void
  writes(): SeenRequest[]
}

const namespace = 'test'

export async function startFakeApiServer(): Promise<FakeApiServer> {
  const store = new Store()
  const requests: SeenRequest[] = []
  const state: Pick<FakeApiServer, 'fault' | 'pieces'> = { fault: () => null, pieces: (text) => [text] }
  store.send = (response, text) => {
    for (const piece of state.pieces(text)) response.write(piece)
  }
  const server = createServer((request, response) => void handle(request, response))
  const handle = async (request: IncomingMessage, response: ServerResponse) => {
    const seen = await read(request)
    requests.push(seen)
    const fault = state.fault(seen)
    if (fault?.kind === 'cut') return void request.socket.destroy()
    if (fault?.kind === 'hang') return
    if (fault?.kind === 'status') {
      if (fault.retryAfterSeconds !== undefined) response.setHeader('retry-after', fault.retryAfterSeconds)
      return answer(response, fault.status, status(fault.status, 'Injected'))
    }
    const result = store.handle(seen, response)
    if (fault?.kind === 'lost') return void request.socket.destroy()
    if (result !== null) answer(response, result.status, result.body)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    get watchers() {
      return store.watchers.size
    },
    get fault() {
      return state.fault
    },
    set fault(next) {
      state.fault = next
    },
    get pieces() {
      return state.pieces
    },
    set pieces(next) {
      state.pieces = next
    },
    objects: (plural) => [...store.collection(plural).values()],
    object: (plural, name) => store.collection(plural).get(name),
    put: (plural, object) => store.write(plural, object as StoredObject),
    delete: (plural, name, graceSeconds) => void store.remove(plural, name, graceSeconds),
    cutWatches: () => store.cut(),
    compact: () => store.compact(),
    bookmark: () => store.bookmark(),
    repeat: (count) => store.repeat(count),
    writes: () => requests.filter(({ method, path }) => method !== 'GET' && !path.includes('/leases')),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function read(request: IncomingMessage): Promise<SeenRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  const url = new URL(request.url ?? '/', 'http://server')
  const text = Buffer.concat(chunks).toString()
  return {
    method: request.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    body: text === '' ? null : (JSON.parse(text) as unknown),
  }
}

function answer(response: ServerResponse, code: number, body: unknown): void {
  response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

const status = (code: number, reason: string, message = reason) => ({
  kind: 'Status',
  apiVersion: 'v1',
  status: 'Failure',
  code,
  reason,
  message,
})

type Answer = { readonly status: number; readonly body: unknown } | null
const failed = (code: number, reason: string): Answer => ({ status: code, body: status(code, reason) })

class Store {
  readonly #collections = new Map<string, Map<string, StoredObject>>()
  readonly #lists = new Map<string, { items: StoredObject[]; version: number }>()
  readonly watchers = new Set<Watcher>()
  #history: Change[] = []
  #version = 1
  #oldest = 0
  #uids = 0
  send: (response: ServerResponse, text: string) => void = (response, text) => void response.write(text)

  collection(plural: string): Map<string, StoredObject> {
    const objects = this.#collections.get(plural) ?? new Map<string, StoredObject>()
    this.#collections.set(plural, objects)
    return objects
  }

  handle({ method, path, query, body }: SeenRequest, response: ServerResponse): Answer {
    const rest = path.split(`/namespaces/${namespace}/`)[1]?.split('/') ?? []
    const [plural = '', name, subresource] = rest
    if (plural === '') return failed(404, 'NotFound')
    if (method === 'GET' && name !== undefined) return this.#get(plural, name)
    if (method === 'GET' && query.has('watch')) return this.#watch(plural, query, response)
    if (method === 'GET') return this.#list(plural, query)
    const object = (body ?? {}) as StoredObject
    if (method === 'POST') return this.#create(plural, object)
    if (name === undefined) return failed(405, 'MethodNotAllowed')
    if (method === 'PUT') return this.#replace(plural, name, object)
    if (method === 'DELETE') return this.#delete(plural, name, body as DeleteOptions | null)
    if (method === 'PATCH') return this.#patch(plural, name, subresource, object, query.has('force'))
    return failed(405, 'MethodNotAllowed')
  }

  /** Creates or replaces; keeps uid and generation as a server does. */
  write(plural: string, object: StoredObject, isStatus = false): StoredObject {
    const objects = this.collection(plural)
    const before = objects.get(object.metadata.name)
    const changed = before === undefined || JSON.stringify(before['spec']) !== JSON.stringify(object['spec'])
    const generation = (before?.metadata.generation ?? 0) + (changed && !isStatus ? 1 : 0)
    const next: StoredObject = {
      ...object,
      metadata: {
        ...object.metadata,
        uid: before?.metadata.uid ?? `uid-${++this.#uids}`,
        creationTimestamp:
          before?.metadata.creationTimestamp ?? new Date(1_700_000_000_000 + this.#uids * 1_000).toISOString(),
        generation,
        resourceVersion: String(++this.#version),
      },
    }
    const { finalizers = [], deletionTimestamp } = next.metadata
    if (deletionTimestamp !== undefined && finalizers.length === 0 && plural !== 'pods') {
      objects.delete(next.metadata.name)
      this.#tell({ version: this.#version, collection: plural, type: 'DELETED', object: next })
      return next
    }
    objects.set(next.metadata.name, next)
    this.#tell({
      version: this.#version,
      collection: plural,
      type: before === undefined ? 'ADDED' : 'MODIFIED',
      object: next,
    })
    return next
  }

  remove(plural: string, name: string, graceSeconds?: number): StoredObject | null {
    const objects = this.collection(plural)
    const object = objects.get(name)
    if (object === undefined) return null
    const waits = (object.metadata.finalizers ?? []).length > 0 || (plural === 'pods' && graceSeconds !== 0)
    if (waits) {
      if (object.metadata.deletionTimestamp !== undefined) return object
      const metadata = {
        ...object.metadata,
        deletionTimestamp: '2026-01-01T00:00:00Z',
        deletionGracePeriodSeconds: graceSeconds ?? 30,
      }
      return this.write(plural, { ...object, metadata }, true)
    }
    objects.delete(name)
    const gone = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } }
    this.#tell({ version: this.#version, collection: plural, type: 'DELETED', object: gone })
    return gone
  }

  cut(): void {
    for (const { response } of this.watchers) response.destroy()
    this.watchers.clear()
  }

  compact(): void {
    this.#oldest = this.#version
    this.#history = []
    this.#lists.clear()
  }

  bookmark(): void {
    const object = { kind: 'Bookmark', metadata: { resourceVersion: String(this.#version) } }
    for (const { response } of this.watchers) this.send(response, `${JSON.stringify({ type: 'BOOKMARK', object })}\n`)
  }

  repeat(count: number): void {
    for (const change of this.#history.slice(-count)) this.#deliver(change)
  }

  #get(plural: string, name: string): Answer {
    const object = this.collection(plural).get(name)
    return object === undefined ? failed(404, 'NotFound') : { status: 200, body: object }
  }

  #list(plural: string, query: URLSearchParams): Answer {
    const limit = Number(query.get('limit') ?? 0) || Number.POSITIVE_INFINITY
    const from = query.get('continue')
    const [token = '', at = '0'] = from?.split(':') ?? []
    const kept = from === null ? null : this.#lists.get(token)
    if (from !== null && kept === undefined) return failed(410, 'Expired')
    const selector = query.get('labelSelector')
    const list = kept ?? {
      items: [...this.collection(plural).values()].filter((object) => matches(object, selector)),
      version: this.#version,
    }
    const start = Number(at)
    const items = list.items.slice(start, start + limit)
    const more = start + limit < list.items.length
    const key = token || `list-${++this.#uids}`
    if (more) this.#lists.set(key, list)
    const metadata = { resourceVersion: String(list.version), ...(more ? { continue: `${key}:${start + limit}` } : {}) }
    return { status: 200, body: { kind: 'List', metadata, items } }
  }

  #watch(plural: string, query: URLSearchParams, response: ServerResponse): Answer {
    const from = Number(query.get('resourceVersion') ?? 0)
    if (from < this.#oldest) return failed(410, 'Expired')
    const watcher = { collection: plural, selector: query.get('labelSelector'), response }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    for (const change of this.#history) if (change.version > from) this.#deliver(change, [watcher])
    this.watchers.add(watcher)
    response.on('close', () => this.watchers.delete(watcher))
    return null
  }

  #create(plural: string, object: StoredObject): Answer {
    if (this.collection(plural).has(object.metadata.name)) return failed(409, 'AlreadyExists')
    return { status: 201, body: this.write(plural, object) }
  }

  #replace(plural: string, name: string, object: StoredObject): Answer {
    const before = this.collection(plural).get(name)
    if (before === undefined) return failed(404, 'NotFound')
    if (before.metadata.resourceVersion !== object.metadata.resourceVersion) return failed(409, 'Conflict')
    return { status: 200, body: this.write(plural, object) }
  }

  #delete(plural: string, name: string, options: DeleteOptions | null): Answer {
    const object = this.collection(plural).get(name)
    if (object === undefined) return failed(404, 'NotFound')
    const uid = options?.preconditions?.uid
    if (uid !== undefined && uid !== object.metadata.uid) return failed(409, 'Conflict')
    return { status: 200, body: this.remove(plural, name, options?.gracePeriodSeconds) }
  }

  #patch(plural: string, name: string, subresource: string | undefined, patch: StoredObject, isApply: boolean): Answer {
    const before = this.collection(plural).get(name)
    const isStatus = subresource === 'status'
    if (before === undefined) {
      if (!isApply || isStatus) return failed(404, 'NotFound')
      return { status: 201, body: this.write(plural, patch) }
    }
    const { uid, resourceVersion } = patch.metadata ?? {}
    if (uid !== undefined && uid !== before.metadata.uid) return failed(409, 'Conflict')
    if (resourceVersion !== undefined && resourceVersion !== before.metadata.resourceVersion)
      return failed(409, 'Conflict')
    const wanted = isStatus ? { status: patch['status'] } : patch
    const next = merge(before, wanted) as StoredObject
    if (JSON.stringify(next) === JSON.stringify(before)) return { status: 200, body: before }
    return { status: 200, body: this.write(plural, next, isStatus) }
  }

  #tell(change: Change): void {
    this.#history.push(change)
    this.#deliver(change)
  }

  #deliver({ collection, type, object }: Change, to: Iterable<Watcher> = this.watchers): void {
    for (const watcher of to) {
      if (watcher.collection !== collection || !matches(object, watcher.selector)) continue
      this.send(watcher.response, `${JSON.stringify({ type, object })}\n`)
    }
  }
}

interface DeleteOptions {
  readonly gracePeriodSeconds?: number
  readonly preconditions?: { readonly uid?: string }
}

function matches({ metadata }: StoredObject, selector: string | null): boolean {
  return (selector ?? '')
    .split(',')
    .filter((term) => term !== '')
    .every((term) => metadata.labels?.[term.split('=')[0] ?? ''] === term.split('=')[1])
}

/** RFC 7386. */
function merge(before: unknown, patch: unknown): unknown {
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch
  const result: Record<string, unknown> = { ...(isPlain(before) ? before : {}) }
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key]
    else result[key] = merge(result[key], value)
  }
  return result
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
