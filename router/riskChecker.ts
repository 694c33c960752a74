/**
 * Runs the checks of a route's author, which may take for ever, without holding anybody else up: on a thread of their own, one answer at a
 * time, and a thread that is late is ended and another one started.
 *
 * Why a thread: a time limit of `node:vm` would stop every stream of this router for as long as it lasts, and the engine of linear time
 * that Node has (`--enable-experimental-regexp-engine`) is none that one may build on. A thread costs nothing while nobody hangs (a job takes
 * 40 to 60 µs, `npm run bench -- risk`); whoever comes behind one that hangs waits for its time and for another thread to start. A check that
 * was late `lateChecksMax` times in a row rests, and is then tried once more: answers that a client brings about must not end it for ever.
 * Whatever was not found out is null, which is an abstention. `check` never rejects.
 */
import { Worker } from 'node:worker_threads'
import { limits } from '#contracts/limits.ts'
import type { Clock, Timer } from '#runtime/clock.ts'
import type { Log } from '#runtime/log.ts'
import type { Check, Checked, Redaction, Texts } from './core/riskChecks.ts'

export interface CheckJob {
  readonly checks: readonly Check[]
  readonly texts: Texts
  readonly redactions: readonly Redaction[]
}

export type CheckReply =
  | { readonly kind: 'ready' }
  | { readonly kind: 'checked'; readonly result: Checked }
  | { readonly kind: 'done'; readonly texts: Texts }

export interface CheckResult {
  /** One for each check. */
  readonly checked: readonly Checked[]
  /** After the redactions; null: they were late, and nothing of the texts may be kept. */
  readonly texts: Texts | null
}

/** What runs checks: the thread, or in a test the calling one. */
export interface RiskChecker {
  check(job: CheckJob): Promise<CheckResult>
  close(): void
}

interface Waiting {
  readonly job: CheckJob
  /** Which of the job's checks are sent; the others rest. */
  readonly asked: readonly number[]
  readonly redacts: boolean
  readonly results: Checked[]
  readonly resolve: (result: CheckResult) => void
}

/** What may be late: a check, or the redactions of a job together. */
type Suspect = Check | readonly Redaction[]

interface Lateness {
  /** In a row. */
  readonly times: number
  /** When it was late last, or was last let to be tried again. */
  readonly at: number
}

export interface ThreadCheckerOptions {
  readonly clock: Clock
  readonly log: Log
  /** A check took too long. */
  readonly onLate: () => void
}

export class ThreadChecker implements RiskChecker {
  readonly #options: ThreadCheckerOptions
  readonly #waiting: Waiting[] = []
  /** Checks that were late the last time, by what they say. */
  readonly #late = new Map<string, Lateness>()
  #thread: Worker | null = null
  #isReady = false
  #deadline: Timer | null = null
  #isClosed = false

  constructor(options: ThreadCheckerOptions) {
    this.#options = options
  }

  check(job: CheckJob): Promise<CheckResult> {
    if (this.#isClosed || this.#waiting.length >= limits.risk.checksWaitingMax)
      return Promise.resolve({ checked: job.checks.map(() => null), texts: null })
    const asked = job.checks.flatMap((check, i) => (this.#mayAsk(check) ? [i] : []))
    const redacts = this.#mayAsk(job.redactions)
    return new Promise((resolve) => {
      this.#waiting.push({ job, asked, redacts, results: [], resolve })
      if (this.#waiting.length === 1) this.#begin()
    })
  }

  close(): void {
    this.#isClosed = true
    this.#endThread()
    for (const waiting of this.#waiting.splice(0)) waiting.resolve(resultOf(waiting, null))
  }

  /** The first one that waits is the one that runs. */
  #begin(): void {
    const [first] = this.#waiting
    if (first === undefined) return
    this.#thread ??= this.#startThread()
    this.#arm(limits.risk.checkStartMs)
    // Its start is nobody's fault: a check's time counts from when it can begin.
    if (!this.#isReady) return
    const { job, asked, redacts } = first
    const checks = asked.flatMap((i) => job.checks[i] ?? [])
    const redactions = redacts ? job.redactions : []
    this.#thread.postMessage({ texts: job.texts, checks, redactions } satisfies CheckJob)
    this.#arm(limits.risk.checkMs)
  }

  #startThread(): Worker {
    const thread = new Worker(new URL('./riskCheckThread.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: 64 },
    })
    thread.unref()
    thread.on('message', (reply: CheckReply) => this.#hear(thread, reply))
    thread.on('error', (error) => {
      if (thread !== this.#thread) return
      this.#options.log.warn({ error }, 'the thread that checks answers failed; it is started again')
      this.#tooLate()
    })
    return thread
  }

  #hear(thread: Worker, reply: CheckReply): void {
    if (thread !== this.#thread) return
    switch (reply.kind) {
      case 'ready':
        this.#isReady = true
        this.#begin()
        return
      case 'checked':
        this.#waiting[0]?.results.push(reply.result)
        return
      case 'done':
        this.#end(reply.texts)
        return
      default:
        reply satisfies never
    }
  }

  #arm(ms: number): void {
    this.#deadline?.cancel()
    this.#deadline = this.#options.clock.after(ms, () => this.#tooLate())
  }

  /** What hangs is the first one without a result; behind the checks come the redactions. A thread that never began is the fault of none. */
  #tooLate(): void {
    const [first] = this.#waiting
    const hasBegun = this.#isReady
    this.#endThread()
    if (first === undefined) return
    if (hasBegun) {
      this.#countLate(first.job.checks[first.asked[first.results.length] ?? -1] ?? first.job.redactions)
      this.#options.onLate()
    }
    this.#end(null)
  }

  #countLate(late: Suspect): void {
    const key = JSON.stringify(late)
    const times = (this.#late.get(key)?.times ?? 0) + 1
    this.#late.delete(key)
    const [oldest] = this.#late.keys()
    if (oldest !== undefined && this.#late.size >= lateKnownMax) this.#late.delete(oldest)
    this.#late.set(key, { times, at: this.#options.clock.now() })
    // Patterns are a route's text, not a client's; what they were run on is never logged.
    if (times === limits.risk.lateChecksMax)
      this.#options.log.warn(
        { late, ms: limits.risk.checkMs, restMs: limits.risk.lateCheckRestMs },
        'a check of answers takes too long and is asked now and then only; write its expression without nested repetition',
      )
  }

  /** After its rest one job may try it, and the others wait for what comes of that. */
  #mayAsk(suspect: Suspect): boolean {
    if (this.#late.size === 0) return true
    const key = JSON.stringify(suspect)
    const late = this.#late.get(key)
    if (late === undefined || late.times < limits.risk.lateChecksMax) return true
    const now = this.#options.clock.now()
    if (now - late.at < limits.risk.lateCheckRestMs) return false
    this.#late.set(key, { ...late, at: now })
    return true
  }

  #end(texts: Texts | null): void {
    this.#deadline?.cancel()
    this.#deadline = null
    const first = this.#waiting.shift()
    if (first === undefined) return
    if (texts !== null && this.#late.size > 0) this.#forgive(first)
    first.resolve(resultOf(first, first.redacts ? texts : null))
    this.#begin()
  }

  /** Late now and then is not late for ever: a long text, a busy machine. */
  #forgive({ job, asked, redacts }: Waiting): void {
    for (const i of asked) this.#late.delete(JSON.stringify(job.checks[i]))
    if (redacts) this.#late.delete(JSON.stringify(job.redactions))
  }

  #endThread(): void {
    this.#deadline?.cancel()
    this.#deadline = null
    const thread = this.#thread
    this.#thread = null
    this.#isReady = false
    void thread?.terminate()
  }
}

/** Routes that were changed leave theirs behind. */
const lateKnownMax = 1_024

function resultOf({ job, asked, results }: Waiting, texts: Texts | null): CheckResult {
  const byIndex = new Map(asked.map((index, i) => [index, results[i] ?? null]))
  return { checked: job.checks.map((_, i) => byIndex.get(i) ?? null), texts }
}
