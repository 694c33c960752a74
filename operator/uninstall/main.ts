/** A program of its own, which the chart runs once after everything else of a release is gone: lets go of the pairs that stay. */
import { randomInt } from 'node:crypto'
import { Failure } from '#contracts/failure.ts'
import { systemClock } from '#runtime/clock.ts'
import { createLog } from '#runtime/log.ts'
import { alwaysOpen, createClient } from '../kubernetes/client.ts'
import { inClusterAccess } from '../kubernetes/inCluster.ts'
import { createRateBound } from '../kubernetes/rateBound.ts'
import { createTransport } from '../kubernetes/transport.ts'
import { letGo } from './letGo.ts'

try {
  await main(process.env['PACELINE_NAMESPACE'] ?? '')
} catch (error) {
  if (!(error instanceof Failure)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}

async function main(namespace: string): Promise<void> {
  const access = inClusterAccess(process.env, systemClock)
  if (access === null || namespace === '')
    throw new Failure('invalid-configuration', 'only for a pod with a service account and PACELINE_NAMESPACE set')
  const transport = createTransport(access, systemClock)
  const random = () => randomInt(2 ** 32) / 2 ** 32
  const rate = createRateBound(systemClock, { perSecondMax: 50, burstMax: 50 })
  const client = createClient({ transport, namespace, clock: systemClock, random, rate, gate: alwaysOpen })
  try {
    const log = createLog({ part: 'uninstall', level: 'info' })
    log.info({ namespace, pairs: await letGo(client, log) }, 'pairs let go')
  } finally {
    transport.close()
  }
}
