/**
 * What tests and measurements need beside the packages: nats-server, the small model, promtool, Prometheus; found or fetched, then named
 * in the environment of whoever runs them.
 *
 * What cannot be had is said in one line and the tests that need it skip themselves, except for nats-server and the model:
 * without those most of the product is untested, and that must not look like success.
 */
import { dirname, join } from 'node:path'
import { Failure } from '#contracts/failure.ts'
import type { CliConfig } from './config.ts'
import type { Context } from './context.ts'
import { obtainModel, resourcesIn } from './models.ts'
import { prepareTestCluster } from './testCluster.ts'
import { natsServer } from './tools/natsServer.ts'
import { prometheus, promtool } from './tools/prometheus.ts'
import { findTool, type Tool } from './tools/tool.ts'

/** Throws a Failure where nats-server or the model cannot be had. */
export async function testEnvironment(context: Context): Promise<Record<string, string>> {
  const { config, terminal } = context
  const server = await findTool(natsServer, context)
  terminal.line(`nats-server ${server.version}: ${server.path}`)
  const { deployments } = await resourcesIn(join(config.root, 'examples', 'local.yaml'))
  const target = deployments.find((deployment) => deployment.spec.target !== undefined)?.spec.target
  if (target === undefined)
    throw new Failure('invalid-configuration', 'examples/local.yaml names no model to test with')
  const model = config.environment['PACELINE_TEST_MODEL'] ?? (await obtainModel(target, context))
  terminal.line(`model: ${model}`)
  const forMetrics = [await optional(promtool, context), await optional(prometheus, context)]
  const tools = [server.path, ...forMetrics.filter((path) => path !== null)].map((path) => dirname(path))
  return { ...environmentWith(tools, config), PACELINE_TEST_MODEL: model, PACELINE_CACHE: config.cacheDir }
}

/** The packages' own programs first, so that `node` is the one that came with them. */
export function environmentWith(folders: readonly string[], config: CliConfig): Record<string, string> {
  const path = [join(config.root, 'node_modules', '.bin'), ...folders, ...config.searchPath]
  return { ...config.environment, PATH: [...new Set(path)].join(':') }
}

async function optional(tool: Tool, context: Context): Promise<string | null> {
  try {
    return (await findTool(tool, context)).path
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    context.terminal.line(`tests that need ${tool.name} skip themselves: ${error.message}`)
    return null
  }
}

/** Named in the environment of the tests where there can be no cluster: they print it and skip themselves. */
export const noClusterVariable = 'PACELINE_NO_CLUSTER'

/** As `testEnvironment`, for whoever also runs on a real Kubernetes; `more`: programs beside those of the tests. */
export async function clusterEnvironment(
  context: Context,
  more: readonly Tool[] = [],
): Promise<Record<string, string>> {
  const why = await prepareTestCluster(context, more)
  if (why === null) return {}
  context.terminal.line(`tests on a real Kubernetes are skipped: ${why}`)
  return { [noClusterVariable]: why }
}
