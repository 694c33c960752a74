/**
 * Ends a cluster when its owner ends, however that happens: the owner holds the other end of this program's standard input.
 *
 *   node reaper.ts <folder of the cluster>
 *
 * It alone takes clusters down, so that the way which an interrupt takes is the way which every test run takes. What could not
 * be removed is printed, one line each, and the exit code is 1.
 */
import { addressesOf, slotOf } from './addresses.ts'
import { takeDown } from './teardown.ts'

// A Ctrl-C reaches the whole process group; the owner's end is what counts here.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
process.stdin.resume()
await new Promise((resolve) => {
  process.stdin.once('end', resolve).once('error', resolve)
})
const left = await takeDown(addressesOf(slotOf(process.argv[2] ?? '')))
for (const line of left) console.error(`cluster teardown left ${line}`)
process.exit(left.length === 0 ? 0 : 1)
