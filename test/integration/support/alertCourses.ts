/**
 * Courses of figures and the alerts they must and must not raise, in promtool's form: each alert is seen to fire, to say whom it
 * is about, and to keep quiet when all is well.
 */
import { operatorMetrics, routerMetrics, workerMetrics } from '#contracts/metrics.ts'

export const namespace = 'llm'

interface Course {
  readonly name: string
  /** Series (labels without the namespace) → values in promtool's notation, one per minute. */
  readonly series: Readonly<Record<string, string>>
  readonly at: string
  /** Alert → labels of each firing one, beyond severity and namespace. */
  readonly fires: Readonly<Record<string, readonly Readonly<Record<string, string>>[]>>
}

const series = (name: string, labels: Readonly<Record<string, string>> = {}) =>
  `${name}{${Object.entries({ namespace, ...labels })
    .map(([label, value]) => `${label}="${value}"`)
    .join(', ')}}`

const model = 'smol'
const requests = (outcome: string) =>
  series(routerMetrics.requests.name, { model, outcome, endpoint: 'chat', status: '200' })
const live = series(routerMetrics.workers.name, { model, state: 'live' })
const good = series(routerMetrics.sloGood.name, { model, tenant: 'public' })
const lost = series(routerMetrics.sloLost.name, { model, tenant: 'public', cause: 'late-tokens' })
const reconciles = (result: string) => series(operatorMetrics.reconciles.name, { result })
/** What keeps the alerts of absence quiet. */
const alive = {
  [series(routerMetrics.natsConnected.name, { pod: 'router-1' })]: '1x120',
  [series(operatorMetrics.workqueueDepth.name)]: '0x120',
  [series(operatorMetrics.leader.name, { pod: 'operator-1' })]: '1x120',
  [series(operatorMetrics.leader.name, { pod: 'operator-2' })]: '0x120',
}
const quiet = {}

export const courses: readonly Course[] = [
  {
    name: 'all is well',
    series: {
      ...alive,
      [requests('completed')]: '0+60x120',
      [live]: '2x120',
      [good]: '0+60x120',
      [reconciles('await-change')]: '0+6x120',
    },
    at: '60m',
    fires: quiet,
  },
  {
    name: 'a tenth of the requests fails: a warning, nobody is woken',
    series: { ...alive, [requests('completed')]: '0+54x120', [requests('failed')]: '0+6x120', [live]: '2x120' },
    at: '30m',
    fires: { PacelineErrorRatio: [{ model }] },
  },
  {
    name: 'half of the requests is refused',
    series: { ...alive, [requests('completed')]: '0+30x120', [requests('refused')]: '0+30x120', [live]: '2x120' },
    at: '30m',
    fires: { PacelineErrorRatio: [{ model }], PacelineErrorRatioCritical: [{ model }] },
  },
  {
    name: 'clients that leave, and what they get wrong, are no errors of ours',
    series: { ...alive, [requests('cancelled')]: '0+30x120', [requests('invalid')]: '0+30x120', [live]: '1x120' },
    at: '30m',
    fires: quiet,
  },
  {
    name: 'requests wait and no worker is live',
    series: { ...alive, [live]: '0x120', [series(routerMetrics.queueDepth.name, { model })]: '3x120' },
    at: '10m',
    fires: { PacelineNoReadyWorker: [{ model }] },
  },
  {
    name: 'a pair that sleeps and that nobody asks for',
    series: { ...alive, [live]: '0x120', [series(routerMetrics.queueDepth.name, { model })]: '0x120' },
    at: '60m',
    fires: quiet,
  },
  {
    name: 'half of the requests misses its SLO',
    series: { ...alive, [live]: '2x120', [good]: '0+30x120', [lost]: '0+30x120' },
    at: '60m',
    fires: { PacelineGoodputBelowTarget: [{ model }] },
  },
  {
    name: 'every request misses its SLO: there is no good series at all',
    series: { ...alive, [live]: '2x120', [lost]: '0+30x120' },
    at: '60m',
    fires: { PacelineGoodputBelowTarget: [{ model }] },
  },
  {
    name: 'the target refuses nearly all that is drafted',
    series: {
      ...alive,
      [series(workerMetrics.draftTokens.name, { model_name: model, engine: 'llamacpp' })]: '0+6000x120',
      [series(workerMetrics.acceptedTokens.name, { model_name: model, engine: 'llamacpp' })]: '0+60x120',
    },
    at: '60m',
    fires: { PacelineAcceptanceCollapse: [{ model_name: model }] },
  },
  {
    name: 'nothing is drafted',
    series: {
      ...alive,
      [series(workerMetrics.draftTokens.name, { model_name: model, engine: 'llamacpp' })]: '0x120',
      [series(workerMetrics.acceptedTokens.name, { model_name: model, engine: 'llamacpp' })]: '0x120',
    },
    at: '60m',
    fires: quiet,
  },
  {
    name: 'most reconciles end in an error',
    series: { ...alive, [reconciles('back-off')]: '0+6x120', [reconciles('await-change')]: '0+1x120' },
    at: '60m',
    fires: { PacelineReconcileErrors: [{}] },
  },
  {
    name: 'a pair is degraded for an hour',
    series: { ...alive, [series(operatorMetrics.deployments.name, { state: 'degraded' })]: '1x120' },
    at: '60m',
    fires: { PacelineReconcileStalled: [{}] },
  },
  {
    name: 'one router loses NATS',
    series: { ...alive, [series(routerMetrics.natsConnected.name, { pod: 'router-2' })]: '0x120' },
    at: '10m',
    fires: { PacelineBusDisconnected: [{ pod: 'router-2' }] },
  },
  {
    name: 'newer labels have ended the calibration of one step, and that of another route holds',
    series: {
      ...alive,
      [series(operatorMetrics.routeGuarantee.name, { route: 'assistant', deployment: 'smol' })]: '1x10 0x60',
      [series(operatorMetrics.routeGuarantee.name, { route: 'other', deployment: 'smol' })]: '1x70',
    },
    at: '40m',
    fires: { PacelineCascadeUnproved: [{ route: 'assistant', deployment: 'smol' }] },
  },
  {
    name: 'two operators and no leader',
    series: { ...alive, [series(operatorMetrics.leader.name, { pod: 'operator-1' })]: '0x120' },
    at: '10m',
    fires: { PacelineNoLeader: [{}] },
  },
  {
    name: 'nothing is scraped in this namespace, whatever runs in others',
    series: { [`${routerMetrics.natsConnected.name}{namespace="else"}`]: '1x120' },
    at: '10m',
    fires: { PacelineRouterMetricsMissing: [{}], PacelineOperatorMetricsMissing: [{}] },
  },
]
