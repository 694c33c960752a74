/** Which instance a person means: the port they name, else the only one that runs, else the default port. */
import { Failure } from '#contracts/failure.ts'
import type { Context } from './context.ts'
import { parsePort } from './flags.ts'
import { type InstancePaths, instancePaths, livingInstances } from './local/instance.ts'

const portDefault = 8080

export function chosenInstance(named: string | undefined, context: Context): { port: number; paths: InstancePaths } {
  const port = named === undefined ? onlyOne(livingInstances(context)) : parsePort('--port', named)
  return { port, paths: instancePaths(context, port) }
}

function onlyOne(ports: readonly number[]): number {
  if (ports.length < 2 || ports.includes(portDefault))
    return ports.length === 1 ? (ports[0] ?? portDefault) : portDefault
  throw new Failure('invalid-configuration', `instances run on ports ${ports.join(', ')}; name one with --port`)
}
