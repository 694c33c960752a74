/** The router with its sockets, on a loopback port of the system's choice, before a fake network in real time. */
import { connect } from 'node:net'
import { delay, systemClock } from '#runtime/clock.ts'
import { silentLog } from '#runtime/log.ts'
import type { Tracer } from '#runtime/tracing.ts'
import { RouterConfig } from '#contracts/routerConfig.ts'
import type { ModelRecord } from '#contracts/records.ts'
import { type HttpServer, serveHttp } from '../http.ts'
import { type FakeWorker, type FakeWorkerOptions, modelRecord } from './fakeWorker.ts'
import type { RiskParts } from '../stagedRoutes.ts'
import { routerConfig, setStage, type Stage } from './stage.ts'

export interface ServedStage extends Stage {
  readonly http: HttpServer
  readonly firstWorker: FakeWorker
  post(
    path: string,
    body: unknown,
    options?: { headers?: Record<string, string>; signal?: AbortSignal },
  ): Promise<Response>
  /** Chat with sensible defaults. */
  chat(changes?: object, options?: { headers?: Record<string, string>; signal?: AbortSignal }): Promise<Response>
  close(): Promise<void>
}

export async function serveStage(
  options: {
    limits?: object
    worker?: Partial<FakeWorkerOptions>
    record?: ModelRecord
    tracer?: Tracer
  } & RiskParts = {},
): Promise<ServedStage> {
  const config = RouterConfig.parse({ ...routerConfig, limits: options.limits ?? {} })
  const stage = await setStage(systemClock, config, options)
  await stage.publish(options.record ?? modelRecord())
  const firstWorker = stage.worker({ name: 'w1', stepMs: 2, ...options.worker })
  await until(() => stage.router.model('smol')?.ready === true)
  const { router, metrics } = stage
  const secondsNow = () => 1_700_000_000
  const http = await serveHttp({
    router,
    config,
    clock: systemClock,
    log: silentLog,
    metrics,
    secondsNow,
    tracer: options.tracer ?? null,
  })
  const post: ServedStage['post'] = (path, body, { headers = {}, signal } = {}) =>
    fetch(http.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: typeof body === 'string' || body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body),
      ...(signal === undefined ? {} : { signal }),
    })
  return {
    ...stage,
    http,
    firstWorker,
    post,
    chat: (changes = {}, given = {}) =>
      post('/v1/chat/completions', { model: 'smol', messages: [{ role: 'user', content: 'hi' }], ...changes }, given),
    async close() {
      router.stop()
      firstWorker.stop()
      await http.close()
    },
  }
}

/** For what happens on real sockets. Fails after five seconds. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = systemClock.now() + 5_000
  while (!(await condition())) {
    if (systemClock.now() > giveUpAt) throw new Error(`never happened: ${condition.toString()}`)
    await delay(systemClock, 2)
  }
}

/** A bare connection: for what no HTTP client would send. */
export async function rawExchange(port: number, bytes: string | Uint8Array) {
  const socket = connect(port, '127.0.0.1')
  const state = { answer: '' }
  socket.on('error', () => undefined)
  socket.on('data', (chunk: Buffer) => {
    state.answer += chunk.toString('utf8')
  })
  const whole = new Promise<string>((resolve) => {
    socket.once('close', () => resolve(state.answer))
  })
  socket.write(bytes)
  await new Promise<void>((resolve) => {
    socket.once('data', () => resolve())
    socket.once('close', () => resolve())
  })
  return { socket, answer: state.answer, whole }
}
