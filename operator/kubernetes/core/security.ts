/** What every pod and container of ours is allowed: as little as the Pod Security Standard `restricted` asks for, and no writable image. */
import type { WorkerPodConfig } from '#contracts/operatorConfig.ts'
import { natsAuthorityVariable, natsPasswordVariable } from '#contracts/workerConfig.ts'
import type { Pod } from './objects.ts'

type PodFields = NonNullable<Pod['spec']>
type Container = PodFields['containers'][number]

/** Of every pod: an account without a token, no addresses of other services, no user that could matter on the node. */
export function confined({ serviceAccountName, imagePullSecrets, runAsUser }: WorkerPodConfig): Partial<PodFields> {
  return {
    serviceAccountName,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(imagePullSecrets.length === 0 ? {} : { imagePullSecrets: imagePullSecrets.map((name) => ({ name })) }),
    securityContext: podSecurity(runAsUser),
  }
}

function podSecurity(user: number): NonNullable<PodFields['securityContext']> {
  return {
    runAsNonRoot: true,
    runAsUser: user,
    runAsGroup: user,
    // Volumes become writable for the group, so that the fetch may fill them.
    fsGroup: user,
    fsGroupChangePolicy: 'OnRootMismatch',
    seccompProfile: { type: 'RuntimeDefault' },
  }
}

export const containerSecurity: NonNullable<Container['securityContext']> = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
}

export function secretVariable(name: string, secret: { readonly name: string; readonly key: string }) {
  return { name, valueFrom: { secretKeyRef: { name: secret.name, key: secret.key } } }
}

/** How a program in a pod logs in at the broker. */
export function natsVariables({ natsPasswordSecret }: WorkerPodConfig, authority: string | null) {
  return [
    secretVariable(natsPasswordVariable, natsPasswordSecret),
    ...(authority === null ? [] : [{ name: natsAuthorityVariable, value: literal(authority) }]),
  ]
}

/** A value of the environment that the kubelet must not change: `$(…)` in one is replaced by another variable. */
export const literal = (text: string): string => text.replaceAll('$', () => '$$')
