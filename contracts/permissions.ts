/**
 * What each role may say and hear on NATS: the least that its work needs. The local platform writes these into the server's
 * configuration, the chart into its Secret. `test/integration/permissions` tries what is not listed and must be refused.
 */
import { buckets, protocolVersion } from './subjects.ts'

export type Role = 'operator' | 'router' | 'worker'
export interface RolePermissions {
  readonly publish: readonly string[]
  readonly subscribe: readonly string[]
}

const root = `paceline.${protocolVersion}`
const inbox = (role: Role) => `_INBOX_${role}.>`
/** Reply subjects of each role start with its own prefix, so that no role can read another's answers. */
export const inboxPrefix = (role: Role) => `_INBOX_${role}`

const stream = (bucket: string) => `KV_${bucket}`
/** A watch is an ordered consumer that delivers into the role's own inbox, acknowledges nothing and is flow-controlled. */
const watchBucket = (bucket: string): string[] => [
  `$JS.API.CONSUMER.CREATE.${stream(bucket)}.>`,
  `$JS.API.CONSUMER.DELETE.${stream(bucket)}.>`,
  `$JS.FC.${stream(bucket)}.>`,
]
const createBucket = (bucket: string): string[] => [
  `$JS.API.STREAM.INFO.${stream(bucket)}`,
  `$JS.API.STREAM.CREATE.${stream(bucket)}`,
  `$JS.API.STREAM.UPDATE.${stream(bucket)}`,
]
const writeBucket = (bucket: string): string[] => [`$KV.${bucket}.>`]

export const permissions: Readonly<Record<Role, RolePermissions>> = {
  operator: {
    publish: [
      '$JS.API.INFO',
      ...Object.values(buckets).flatMap((bucket) => [
        ...createBucket(bucket),
        ...watchBucket(bucket),
        ...writeBucket(bucket),
      ]),
      `${root}.worker.*.drain`,
    ],
    subscribe: [
      inbox('operator'),
      `${root}.report.>`,
      `${root}.router-report.*`,
      `${root}.route-label.*`,
      `${root}.fetch.*`,
    ],
  },
  router: {
    publish: [
      ...Object.values(buckets).flatMap(watchBucket),
      `${root}.worker.*.dispatch`,
      `${root}.worker.*.cancel`,
      `${root}.worker.*.resend`,
      `${root}.worker.*.gate`,
      `${root}.router-report.*`,
      `${root}.route-label.*`,
      `${root}.passed-label`,
      `${root}.tenants`,
    ],
    subscribe: [
      inbox('router'),
      `${root}.router.*.stream`,
      `${root}.router.*.gated`,
      `${root}.passed-label`,
      `${root}.tenants`,
      `${root}.report.>`,
    ],
  },
  worker: {
    publish: [
      ...writeBucket(buckets.workers),
      // What its pair asks for, which changes while it runs.
      ...watchBucket(buckets.models),
      `${root}.router.*.stream`,
      `${root}.router.*.gated`,
      `${root}.report.>`,
      `${root}.fetch.*`,
    ],
    subscribe: [inbox('worker'), `${root}.worker.*.*`],
  },
}
