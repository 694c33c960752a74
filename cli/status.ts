/**
 * `paceline status`: pairs, workers and conditions of a running instance; `--json` adds every process with pid, version and
 * where its metrics are. Exit code 0 when every pair is ready, 1 otherwise (scripts wait on it).
 */
import type { OperatorStatus } from '#contracts/operatorStatus.ts'
import { chosenInstance } from './chosenInstance.ts'
import type { Context } from './context.ts'
import { parseFlags } from './flags.ts'
import { askOperator, askVersion, getJson } from './local/ask.ts'
import { isAlive } from './local/identity.ts'
import { type InstanceRecord, readInstance } from './local/instance.ts'
import { conditionRows, deploymentRows, routeRows, workerRows } from './statusTables.ts'
import { table } from './terminal.ts'
import { withCacheDir } from './up.ts'

export async function status(args: readonly string[], given: Context): Promise<number> {
  const options = {
    port: { type: 'string' },
    json: { type: 'boolean', default: false },
    'cache-dir': { type: 'string' },
  } as const
  const flags = parseFlags('status', args, options)
  const context = withCacheDir(given, flags['cache-dir'])
  const { port, paths } = chosenInstance(flags.port, context)
  const record = readInstance(paths)
  if (record === null || !isAlive(record.owner)) {
    context.terminal.line(
      flags.json ? JSON.stringify({ running: false, port }) : `nothing runs on port ${port}; npm start starts it`,
    )
    return 1
  }
  const operator = await askOperator(record.operatorUrl)
  if (flags.json) context.terminal.line(JSON.stringify(await describe(record, operator), null, 2))
  else for (const line of show(record, operator)) context.terminal.line(line)
  const deployments = operator?.deployments ?? []
  const isReady = deployments.every((deployment) =>
    deployment.status.conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True'),
  )
  return operator !== null && isReady ? 0 : 1
}

function show(record: InstanceRecord, operator: OperatorStatus | null): string[] {
  const head = `${record.url}  version ${record.version}  ${record.phase}${record.detached ? ', detached' : ''}`
  if (operator === null) return [head, `the operator (pid ${record.processes.operator?.pid ?? '-'}) does not answer`]
  const routes = routeRows(operator)
  const problems = operator.resources.problems.map((problem) => `resources not taken: ${problem}`)
  return [
    head,
    ...problems,
    '',
    ...table(['PAIR', 'READY', 'REASON', 'WORKERS', 'MODEL', 'TOKENS/S', 'RESTARTS'], deploymentRows(operator)),
    '',
    ...(routes.length === 0
      ? []
      : [...table(['ROUTE', 'MODEL', 'STRATEGY', 'READY', 'REASON', 'MESSAGE'], routes), '']),
    ...table(['WORKER', 'PAIR', 'STATE', 'PID', 'ENGINE', 'SLOTS', 'DRAFTING', 'AGE'], workerRows(operator)),
    '',
    ...table(['OF', 'CONDITION', 'STATUS', 'REASON', 'MESSAGE'], conditionRows(operator)),
  ]
}

async function describe(record: InstanceRecord, operator: OperatorStatus | null) {
  const { processes } = record
  const routerVersion = await askVersion(record.url)
  const server = (await getJson(`${record.natsMonitorUrl}/varz`)) as { version?: unknown } | null
  const workers = (operator?.deployments ?? []).flatMap((deployment) =>
    deployment.workers.map((worker) => ({
      part: 'worker',
      worker: worker.worker,
      deployment: deployment.name,
      pid: worker.pid,
      version: worker.version,
      metricsUrl: worker.metricsUrl,
    })),
  )
  return {
    running: true,
    phase: record.phase,
    detached: record.detached,
    url: record.url,
    natsUrl: record.natsUrl,
    resources: record.resources,
    processes: [
      { part: 'up', pid: record.owner.pid, version: record.version, metricsUrl: null },
      // nats-server speaks JSON on its monitoring port, not Prometheus' format.
      {
        part: 'nats',
        pid: processes.nats?.pid ?? null,
        version: typeof server?.version === 'string' ? server.version : null,
        metricsUrl: null,
        monitorUrl: `${record.natsMonitorUrl}/varz`,
      },
      part('operator', processes.operator?.pid, operator?.version ?? null, record.operatorUrl),
      part('router', processes.router?.pid, routerVersion, record.url),
      ...workers,
    ],
    operator,
  }
}

const part = (name: string, pid: number | undefined, version: string | null, url: string) => ({
  part: name,
  pid: pid ?? null,
  version,
  metricsUrl: `${url}/metrics`,
})
