/**
 * Compute threads that stay: one ggml thread pool per context, made anew when the number of threads changes.
 *
 * Without a pool, ggml starts and joins its threads in every decode. That is dear when the decode itself runs on another thread
 * than the last one did (koffi's asynchronous calls): 72 against 121 tok/s at one stream, 80 against 132 at two, two threads on two
 * cores. Between decodes the pool's threads spin for a moment only (`poll: 2` of 100): long spinning would take the core that
 * chooses the next tokens and carries them to the client (two threads, one stream: 95 tok/s at 0 and 2, 93 at 10, 89 at 50).
 *
 * The pool functions live in whichever CPU variant ggml chose at load, so they are asked for by name through its registry.
 */
import koffi from 'koffi'
import type { Address, BackendSymbols, ContextHandle, DeviceHandle, Symbols } from './symbols.ts'

/** `GGML_MAX_N_THREADS` of the releases in `layout.ts`. */
const cpuMaskLength = 512
const parameters = koffi.struct({
  cpumask: koffi.array('bool', cpuMaskLength),
  n_threads: 'int',
  prio: 'int',
  poll: 'uint32_t',
  strict_cpu: 'bool',
  paused: 'bool',
})
const newPool = koffi.proto('void*', [koffi.pointer(parameters)])
const freePool = koffi.proto('void', ['void*'])

export interface ThreadPools {
  open(threads: number): Address
  free(pool: Address): void
}

/** null where the CPU backend offers no pools (then ggml starts threads per decode). */
export function findThreadPools(symbols: BackendSymbols, cpu: DeviceHandle): ThreadPools | null {
  const registry = symbols.deviceRegistry(cpu)
  const create = symbols.procedureOf(registry, 'ggml_threadpool_new')
  const free = symbols.procedureOf(registry, 'ggml_threadpool_free')
  if (create === null || free === null) return null
  const cpumask = Array.from({ length: cpuMaskLength }, () => false)
  return {
    open: (threads) =>
      koffi.call(create, newPool, {
        cpumask,
        n_threads: threads,
        prio: 0,
        poll: 2,
        strict_cpu: false,
        paused: false,
      }) as Address,
    free: (pool) => {
      koffi.call(free, freePool, pool)
    },
  }
}

/**
 * The pool of one context. Change it only while the context does not decode.
 *
 * A pool that is given up is freed only after the next decode: it is then that ggml's CPU backend takes the new one, and it pauses the
 * old one as it does so. Freed before, that pause writes into memory that belongs to somebody else by then.
 */
export class ContextThreads implements Disposable {
  readonly #symbols: Symbols
  readonly #context: ContextHandle
  readonly #pools: ThreadPools | null
  #pool: Address | null = null
  readonly #retired: Address[] = []
  #threads: number

  constructor(options: { symbols: Symbols; context: ContextHandle; pools: ThreadPools | null; threads: number }) {
    this.#symbols = options.symbols
    this.#context = options.context
    this.#pools = options.pools
    this.#threads = options.threads
    this.#attach()
  }

  use(threads: number): void {
    if (threads === this.#threads) return
    this.#threads = threads
    this.#symbols.setThreads(this.#context, threads, threads)
    this.#retire()
    this.#attach()
  }

  /** A decode has gone through with the threads that are in use now. */
  decoded(): void {
    if (this.#retired.length > 0) this.#freeRetired()
  }

  /** One thread needs no company: the caller's own does the work. */
  #attach(): void {
    if (this.#pools === null || this.#threads < 2) return
    this.#pool = this.#pools.open(this.#threads)
    this.#symbols.attachThreads(this.#context, this.#pool, this.#pool)
  }

  #retire(): void {
    if (this.#pool === null) return
    this.#symbols.detachThreads(this.#context)
    this.#retired.push(this.#pool)
    this.#pool = null
  }

  #freeRetired(): void {
    for (const pool of this.#retired.splice(0)) this.#pools?.free(pool)
  }

  /** Before the context is freed, which asks nothing of them any more. */
  [Symbol.dispose](): void {
    this.#retire()
    this.#freeRetired()
  }
}
