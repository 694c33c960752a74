/** Why a test of the whole system cannot run here, or null: it needs nats-server and, where said, the small real model. */
import { testModel } from '../../bench/harness/model.ts'
import { findNatsServer } from './natsServer.ts'

export function whyNoNats(): string | null {
  return findNatsServer() === null ? 'no nats-server on PATH or in the cache (npm test brings it)' : null
}

export function whyNoPlatform(): string | null {
  return whyNoNats() ?? (testModel() === null ? 'PACELINE_TEST_MODEL names no file (npm test brings the model)' : null)
}

/** For tests that look into /proc to see what is left running. */
export function whyNoProcesses(): string | null {
  return process.platform === 'linux' ? whyNoNats() : 'needs /proc'
}
