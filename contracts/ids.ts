/**
 * Branded identifiers: strings that cannot be mixed up.
 *
 * An id is made in one place (named at each type) and only passed on afterwards. Ids appear inside NATS subjects, so each
 * one is a single subject token: letters, digits, `-` and `_` only. `parseId` is the only way from a plain string to a brand.
 */
import * as z from 'zod'

const token = z.string().regex(/^[A-Za-z0-9_-]{1,128}$/, 'letters, digits, "-" and "_" only, at most 128')

/** One client request; made by the router, or taken from the client's `x-request-id` when that is a legal token. */
export const RequestId = token.brand<'RequestId'>()
export type RequestId = z.infer<typeof RequestId>

/** One attempt to run a request on one worker; made by the router. A retry has another id, so late events cannot be confused. */
export const DispatchId = token.brand<'DispatchId'>()
export type DispatchId = z.infer<typeof DispatchId>

/** One life of one worker process: a restarted worker has another id. Made by the operator (or the pod name in a cluster). */
export const WorkerId = token.brand<'WorkerId'>()
export type WorkerId = z.infer<typeof WorkerId>

/** One life of one router process; made by the router at start. */
export const RouterId = token.brand<'RouterId'>()
export type RouterId = z.infer<typeof RouterId>

/** `metadata.name` of a ModelDeployment. */
export const DeploymentName = token.brand<'DeploymentName'>()
export type DeploymentName = z.infer<typeof DeploymentName>

/** `metadata.name` of a ModelRoute; clients use the name in its spec. */
export const RouteName = token.brand<'RouteName'>()
export type RouteName = z.infer<typeof RouteName>

/** Hash of everything in a deployment's spec that needs new workers when it changes. */
export const Revision = token.brand<'Revision'>()
export type Revision = z.infer<typeof Revision>

/** Who pays and who is treated fairly: comes with the API key, `public` where none is configured. */
export const TenantId = token.brand<'TenantId'>()
export type TenantId = z.infer<typeof TenantId>
