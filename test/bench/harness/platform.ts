import type { Contender } from './contender.ts'
import type { EngineSettings } from './llamaServer.ts'
export async function startPaceline(_settings: EngineSettings): Promise<Contender> {
  throw new Error('not yet')
}
