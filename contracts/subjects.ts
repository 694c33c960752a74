/**
 * Every NATS subject and bucket, built and parsed here and nowhere else.
 *
 * Subjects carry the protocol's version. A breaking change of a message takes a new version, and both are served for one
 * release. Core NATS only: work, deltas, cancels and reports are not stored anywhere.
 */
import { DeploymentName, type RouteName, type RouterId, WorkerId } from './ids.ts'

export const protocolVersion = 'v1'
const root = `paceline.${protocolVersion}`

export const subjects = {
  /** router → worker: run this (`Dispatch`, or one `Part` of a large one). */
  dispatch: (worker: WorkerId) => `${root}.worker.${worker}.dispatch`,
  /** router → worker: stop this (`Cancel`). */
  cancel: (worker: WorkerId) => `${root}.worker.${worker}.cancel`,
  /** router → worker: send again from there (`Resend`). */
  resend: (worker: WorkerId) => `${root}.worker.${worker}.resend`,
  /** router → worker: which expert is this text for (`GateQuestion`)? */
  gate: (worker: WorkerId) => `${root}.worker.${worker}.gate`,
  /** operator → worker: accept nothing new, finish, exit (`Drain`). */
  drain: (worker: WorkerId) => `${root}.worker.${worker}.drain`,
  /** All of the above, for one worker's subscription. */
  workerInbox: (worker: WorkerId) => `${root}.worker.${worker}.*`,
  /** worker → router: what happened to its requests in one step (`StepFrame`). */
  stream: (router: RouterId) => `${root}.router.${router}.stream`,
  /** worker → router: which expert a text is for (`GateAnswer`). */
  gated: (router: RouterId) => `${root}.router.${router}.gated`,
  /** worker → every router and the operator: how it stands (`WorkerReport`). */
  report: (deployment: DeploymentName, worker: WorkerId) => `${root}.report.${deployment}.${worker}`,
  allReports: `${root}.report.>`,
  /** router → operator, every second: demand per deployment (`RouterReport`): scaling and `status` read it. */
  routerReport: (router: RouterId) => `${root}.router-report.${router}`,
  allRouterReports: `${root}.router-report.*`,
  /** router → operator: a client's word on an answer that a cascade kept (`RouteLabel`). */
  routeLabel: (route: RouteName) => `${root}.route-label.${route}`,
  allRouteLabels: `${root}.route-label.*`,
  /** router → every router: a client's word on an answer of somebody else (`PassedLabel`). */
  passedLabel: `${root}.passed-label`,
  /** router → every router, while requests wait: whose, and what tenants were served (`TenantsNews`). */
  tenantsNews: `${root}.tenants`,
  /** fetch → operator: how far a model's download is (`FetchReport`). */
  fetchReport: (sha256: string) => `${root}.fetch.${sha256.slice(0, 16)}`,
  allFetchReports: `${root}.fetch.*`,
} as const

const workerInboxKinds = ['dispatch', 'cancel', 'resend', 'gate', 'drain'] as const
export type WorkerInboxKind = (typeof workerInboxKinds)[number]

/** The last token of a worker inbox subject, or null where the subject is not one. */
export function parseWorkerInbox(subject: string): { worker: WorkerId; kind: WorkerInboxKind } | null {
  const [head, version, part, worker, kind, ...rest] = subject.split('.')
  if (`${head}.${version}` !== root || part !== 'worker' || rest.length > 0) return null
  const known = workerInboxKinds.find((each) => each === kind)
  const id = WorkerId.safeParse(worker)
  return id.success && known !== undefined ? { worker: id.data, kind: known } : null
}

export function parseReport(subject: string): { deployment: DeploymentName; worker: WorkerId } | null {
  const [head, version, part, deployment, worker, ...rest] = subject.split('.')
  if (`${head}.${version}` !== root || part !== 'report' || rest.length > 0) return null
  const name = DeploymentName.safeParse(deployment)
  const id = WorkerId.safeParse(worker)
  return name.success && id.success ? { deployment: name.data, worker: id.data } : null
}

/**
 * JetStream KV buckets: what must be remembered and watched. `models`, `routes` and `keys` are written by the operator
 * only; `workers` by each worker for itself, and by the operator to remove the dead.
 */
export const buckets = {
  models: 'paceline_models',
  routes: 'paceline_routes',
  keys: 'paceline_keys',
  workers: 'paceline_workers',
} as const
export type Bucket = keyof typeof buckets
