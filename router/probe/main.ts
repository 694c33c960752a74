/**
 * `node router/probe/main.ts <url>`: asks a running router whether it is ready and which models it serves, as `helm test` does
 * from a pod. Ends with 0 when both were answered. `PACELINE_API_KEY` is sent where it is set; a router that asks for a key
 * when none is given has answered too.
 */
import { createLog } from '#runtime/log.ts'
import { delay, systemClock } from '#runtime/clock.ts'
import { probe } from './probe.ts'

const log = createLog({ part: 'probe', level: 'info' })
const [url] = process.argv.slice(2)
if (url === undefined) {
  log.error({ usage: 'node router/probe/main.ts <url>' }, 'no URL given')
  process.exit(2)
}
// Timers of the clock never keep a process alive, and while it waits nothing else does.
const keepAlive = setInterval(() => undefined, 60_000)
const result = await probe({
  url,
  apiKey: process.env['PACELINE_API_KEY'] ?? null,
  fetch,
  wait: (ms) => delay(systemClock, ms),
})
clearInterval(keepAlive)
for (const { path, said } of result.answers) log.info({ url, path, said }, 'asked')
if (result.good) log.info({ url }, 'the router answers')
else log.error({ url, reason: result.reason }, 'the router does not answer as it should')
process.exit(result.good ? 0 : 1)
