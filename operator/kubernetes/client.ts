/**
 * What the operator does with the API: typed reads and writes in one namespace, each safe to repeat, with the few outcomes that
 * callers tell apart. Everything else becomes a `Failure` that says what was tried and what to do.
 *
 * Retries are bounded: no answer, 429 and 5xx are tried again after a jittered wait (or what the server says); a conflict never
 * is, because whoever decided has to look again. All writes pass the gate right before they are sent.
 */
import { Failure } from '#contracts/failure.ts'
import { limits } from '#contracts/limits.ts'
import { type Clock, delay } from '#runtime/clock.ts'
import { backOffMs } from '../core/backOff.ts'
import { type ApiObject, type Lease, pathOf, type Resource, resources } from './core/objects.ts'
import type { RateBound } from './rateBound.ts'
import type { ApiAnswer, ApiRequest, ApiStream, Transport } from './transport.ts'

/** A write's permission: `assertOpen` throws `Failure('lease-lost')` once it is over. */
export interface WriteGate {
  assertOpen(): void
  /** How long it holds; no write may be under way for longer. */
  remainingMs(): number
}
export const alwaysOpen: WriteGate = { assertOpen: () => undefined, remainingMs: () => Number.POSITIVE_INFINITY }

export interface Selection {
  readonly labelSelector?: string
}
export interface Page<T> {
  readonly items: readonly T[]
  readonly resourceVersion: string
  readonly continue: string | null
}

export type Created<T> = { readonly kind: 'created'; readonly object: T } | { readonly kind: 'exists' }
export type Changed<T> =
  | { readonly kind: 'changed'; readonly object: T }
  | { readonly kind: 'conflict' }
  | { readonly kind: 'absent' }
export type Removed<T> = { readonly kind: 'removing'; readonly object: T | null } | { readonly kind: 'absent' }

export interface RemoveOptions {
  /** Only the object with this uid. */
  readonly uid?: string
  readonly graceSeconds?: number
  readonly propagation?: 'Background' | 'Foreground'
}

export interface KubernetesClient {
  readonly namespace: string
  get<T extends ApiObject>(resource: Resource<T>, name: string): Promise<T | null>
  /** `expired`: the place in the list has gone; list again from the start. */
  listPage<T extends ApiObject>(
    resource: Resource<T>,
    options: Selection & { readonly limit: number; readonly continue?: string },
  ): Promise<Page<T> | 'expired'>
  watch(
    resource: Resource<ApiObject>,
    options: Selection & { readonly resourceVersion: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): Promise<ApiStream>
  /** With a name chosen by the caller: a repeat is answered by `exists`. */
  create<T extends ApiObject>(resource: Resource<T>, object: T): Promise<Created<T>>
  /** Server-side apply; takes fields over that somebody else set. Null: it is not there (status only). */
  apply<T extends ApiObject>(resource: Resource<T>, object: T, subresource?: 'status'): Promise<T | null>
  /** Merge patch; put `resourceVersion` or `uid` into it where it must not hit another version. */
  merge<T extends ApiObject>(resource: Resource<T>, name: string, patch: object): Promise<Changed<T>>
  /** Like `create`, but not bounded by the gate: the lease is what opens it. */
  createLease(lease: Lease): Promise<Created<Lease>>
  /** Only where it still has this `resourceVersion`. Not bounded by the gate either, and tried once: time matters. */
  replace<T extends ApiObject>(resource: Resource<T>, object: T, timeoutMs: number): Promise<Changed<T>>
  remove<T extends ApiObject>(resource: Resource<T>, name: string, options?: RemoveOptions): Promise<Removed<T>>
}

export interface ClientOptions {
  readonly transport: Transport
  readonly namespace: string
  readonly clock: Clock
  readonly random: () => number
  readonly rate: RateBound
  readonly gate: WriteGate
  readonly onRequest?: (request: { readonly verb: string; readonly status: number }) => void
}

export const fieldManager = 'paceline-operator'
const { cluster } = limits

export function createClient(options: ClientOptions): KubernetesClient {
  return new Client(options)
}

class Client implements KubernetesClient {
  readonly #options: ClientOptions
  readonly namespace: string

  constructor(options: ClientOptions) {
    this.#options = options
    this.namespace = options.namespace
  }

  async get<T extends ApiObject>(resource: Resource<T>, name: string): Promise<T | null> {
    const answer = await this.#send('get', { method: 'GET', path: this.#path(resource, name) }, [404])
    return answer.status === 404 ? null : objectOf<T>(answer)
  }

  async listPage<T extends ApiObject>(
    resource: Resource<T>,
    { limit, labelSelector, continue: from }: Selection & { limit: number; continue?: string },
  ): Promise<Page<T> | 'expired'> {
    const query = queryOf({ limit, labelSelector, continue: from })
    const answer = await this.#send('list', { method: 'GET', path: this.#path(resource) + query }, [410])
    if (answer.status === 410) return 'expired'
    const list = parse(answer) as { items?: T[] | null; metadata?: { resourceVersion?: string; continue?: string } }
    return {
      items: list.items ?? [],
      resourceVersion: list.metadata?.resourceVersion ?? '',
      continue: list.metadata?.continue || null,
    }
  }

  watch(
    resource: Resource<ApiObject>,
    options: Selection & { readonly resourceVersion: string; readonly timeoutSeconds: number },
    signal: AbortSignal,
  ): Promise<ApiStream> {
    const query = queryOf({ ...options, watch: 'true', allowWatchBookmarks: 'true' })
    const path = this.#path(resource) + query
    return this.#options.transport.open({ method: 'GET', path, timeoutMs: cluster.requestTimeoutMs, signal })
  }

  async create<T extends ApiObject>(resource: Resource<T>, object: T): Promise<Created<T>> {
    const request = this.#creation(resource, object)
    return created(request.path, await this.#write('create', request, [409]))
  }

  async createLease(lease: Lease): Promise<Created<Lease>> {
    const request = this.#creation(resources.leases, lease)
    const answer = await this.#once('update', { ...request, timeoutMs: cluster.requestTimeoutMs })
    if (answer.status >= 300 && answer.status !== 409) throw refusal('create', request.path, answer)
    return created(request.path, answer)
  }

  async apply<T extends ApiObject>(resource: Resource<T>, object: T, subresource?: 'status'): Promise<T | null> {
    const path = this.#path(resource, object.metadata?.name, subresource) + queryOf({ fieldManager, force: 'true' })
    const body = JSON.stringify({ apiVersion: resource.apiVersion, kind: resource.kind, ...object })
    const request = { method: 'PATCH', path, body, contentType: 'application/apply-patch+yaml' } as const
    const answer = await this.#write('apply', request, subresource === 'status' ? [404, 409] : [])
    return answer.status === 404 || answer.status === 409 ? null : objectOf<T>(answer)
  }

  async merge<T extends ApiObject>(resource: Resource<T>, name: string, patch: object): Promise<Changed<T>> {
    const path = this.#path(resource, name) + queryOf({ fieldManager })
    const body = JSON.stringify(patch)
    const request = { method: 'PATCH', path, body, contentType: 'application/merge-patch+json' } as const
    return changed(await this.#write('patch', request, [404, 409]))
  }

  async replace<T extends ApiObject>(resource: Resource<T>, object: T, timeoutMs: number): Promise<Changed<T>> {
    const path = this.#path(resource, object.metadata?.name) + queryOf({ fieldManager })
    const body = JSON.stringify({ apiVersion: resource.apiVersion, kind: resource.kind, ...object })
    const answer = await this.#once('update', { method: 'PUT', path, body, timeoutMs })
    if (answer.status < 300 || answer.status === 404 || answer.status === 409) return changed(answer)
    throw refusal('update', path, answer)
  }

  async remove<T extends ApiObject>(
    resource: Resource<T>,
    name: string,
    { uid, graceSeconds, propagation = 'Background' }: RemoveOptions = {},
  ): Promise<Removed<T>> {
    const path = this.#path(resource, name)
    const body = JSON.stringify({
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: propagation,
      ...(graceSeconds === undefined ? {} : { gracePeriodSeconds: graceSeconds }),
      ...(uid === undefined ? {} : { preconditions: { uid } }),
    })
    const answer = await this.#write('delete', { method: 'DELETE', path, body }, [404, 409])
    // 409: another object has its name by now.
    if (answer.status === 404 || answer.status === 409) return { kind: 'absent' }
    const object = parse(answer) as ApiObject
    return { kind: 'removing', object: object.kind === 'Status' ? null : (object as T) }
  }

  #creation<T extends ApiObject>(resource: Resource<T>, object: T) {
    const path = this.#path(resource) + queryOf({ fieldManager })
    const body = JSON.stringify({ apiVersion: resource.apiVersion, kind: resource.kind, ...object })
    return { method: 'POST', path, body } as const
  }

  #path(resource: Resource<ApiObject>, name?: string, subresource?: 'status'): string {
    return pathOf(resource, this.namespace, name, subresource)
  }

  #write(verb: string, request: Omit<ApiRequest, 'timeoutMs'>, known: readonly number[]): Promise<ApiAnswer> {
    const { gate } = this.#options
    return this.#send(verb, { ...request, beforeSend: () => gate.assertOpen() }, known, () => {
      gate.assertOpen()
      return gate.remainingMs()
    })
  }

  /** Tried again while that may help; what is neither a success nor `known` rejects. */
  async #send(
    verb: string,
    request: Omit<ApiRequest, 'timeoutMs'>,
    known: readonly number[],
    allowedMs: () => number = () => Number.POSITIVE_INFINITY,
  ): Promise<ApiAnswer> {
    for (let attempt = 1; ; attempt++) {
      const timeoutMs = Math.min(cluster.requestTimeoutMs, allowedMs())
      const answer = await this.#attempt(verb, { ...request, timeoutMs })
      if (answer.kind === 'answered' && (answer.status < 300 || known.includes(answer.status))) return answer
      const { retry } = answer
      if (!retry || attempt >= cluster.attemptsMax) {
        if (answer.kind === 'answered') throw refusal(verb, request.path, answer)
        throw answer.failure
      }
      const bounds = { firstMs: cluster.retryMs, maxMs: cluster.retryMsMax }
      const own = backOffMs(attempt, this.#options.random(), bounds)
      const asked = answer.kind === 'answered' ? Math.min(answer.retryAfterMs ?? 0, cluster.retryAfterMsMax) : 0
      await delay(this.#options.clock, Math.max(own, asked))
    }
  }

  async #attempt(verb: string, request: ApiRequest) {
    try {
      const answer = await this.#once(verb, request)
      const retry = answer.status === 429 || answer.status >= 500
      return { kind: 'answered', retry, ...answer } as const
    } catch (failure) {
      if (!(failure instanceof Failure)) throw failure
      return { kind: 'unanswered', failure, retry: failure.code === 'cluster-unavailable' } as const
    }
  }

  async #once(verb: string, request: ApiRequest): Promise<ApiAnswer> {
    const { rate, transport, onRequest } = this.#options
    // The lease is the one thing that must not wait behind anything else.
    if (verb !== 'update') await rate.take()
    const answer = await transport.send(request)
    onRequest?.({ verb, status: answer.status })
    return answer
  }
}

function created<T extends ApiObject>(path: string, answer: ApiAnswer): Created<T> {
  if (answer.status !== 409) return { kind: 'created', object: objectOf<T>(answer) }
  // 409 is also said of a namespace that is ending; only AlreadyExists means that the repeat was one.
  if (reasonOf(answer) === 'AlreadyExists') return { kind: 'exists' }
  throw refusal('create', path, answer)
}

function changed<T extends ApiObject>(answer: ApiAnswer): Changed<T> {
  if (answer.status === 404) return { kind: 'absent' }
  return answer.status === 409 ? { kind: 'conflict' } : { kind: 'changed', object: objectOf<T>(answer) }
}

function queryOf(fields: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(fields).flatMap(([name, value]): [string, string][] =>
    value === undefined ? [] : [[name, String(value)]],
  )
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs).toString()}`
}

/** What the server says of its own resource types is trusted; what users put into them is parsed where it is read. */
const objectOf = <T extends ApiObject>(answer: ApiAnswer): T => parse(answer) as T

function parse(answer: ApiAnswer): unknown {
  try {
    return JSON.parse(answer.body)
  } catch (cause) {
    const message = `the API server answered ${answer.status} with something that is not JSON (${answer.body.length} bytes); is a proxy in between?`
    throw new Failure('cluster-unavailable', message, { retry: { kind: 'after', afterMs: 1_000 }, cause })
  }
}

interface StatusBody {
  readonly reason?: unknown
  readonly message?: unknown
}

function statusBody(answer: ApiAnswer): StatusBody {
  try {
    const body: unknown = JSON.parse(answer.body)
    return typeof body === 'object' && body !== null ? body : {}
  } catch {
    return {}
  }
}

function reasonOf(answer: ApiAnswer): string {
  const { reason } = statusBody(answer)
  return typeof reason === 'string' ? reason : ''
}

/** An answer that is no success. */
export class Refusal extends Failure {
  /** Of HTTP. */
  readonly status: number

  constructor(status: number, ...failure: ConstructorParameters<typeof Failure>) {
    super(...failure)
    this.status = status
  }
}

/** In words that say what to do about it. */
export function refusal(verb: string, path: string, answer: ApiAnswer): Refusal {
  const { message: said } = statusBody(answer)
  const why = typeof said === 'string' ? said : answer.body.slice(0, 200)
  const what = `${verb} ${path.split('?')[0]}: the API server says ${answer.status}: ${why}`
  const { status, retryAfterMs } = answer
  if (status === 429 || status >= 500)
    return new Refusal(status, 'cluster-unavailable', what, {
      retry: { kind: 'after', afterMs: retryAfterMs ?? 1_000 },
    })
  return new Refusal(status, 'cluster-refused', `${what}${adviceFor(status)}`, { retry: { kind: 'never' } })
}

function adviceFor(status: number): string {
  switch (status) {
    case 401:
      return '; the token or certificate is not accepted: check the service account or kubeconfig'
    case 403:
      return "; grant it in the operator's Role (chart value rbac.create), or a quota or policy forbids it"
    case 404:
      return '; are the CRDs installed and does the namespace exist?'
    case 422:
      return '; the object breaks a rule of the cluster: correct what the message names'
    default:
      return ''
  }
}
