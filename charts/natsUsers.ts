/**
 * The users of the chart's NATS and what each may say, from `contracts/permissions.ts`. Passwords are variables of the server's
 * environment, so that no file of the release holds one.
 */
import type { Role } from '#contracts/permissions.ts'
import { natsUsers } from '#runtime/natsServerConfig.ts'

/** Set from the Secret, in quotes, by the StatefulSet's template. */
export const passwordVariable = (role: Role): string => `PACELINE_${role.toUpperCase()}_QUOTED`

export function chartNatsUsers(): string {
  const header = '# Generated from contracts/permissions.ts by `npm run generate`; edit that instead.'
  return `${header}\n${natsUsers((role) => `$${passwordVariable(role)}`)}`
}
