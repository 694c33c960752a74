/** What every container of ours is allowed: as little as the Pod Security Standard `restricted` asks for, and no writable image. */
import type { Pod } from './objects.ts'

type PodFields = NonNullable<Pod['spec']>
type Container = PodFields['containers'][number]

export function podSecurity(user: number): NonNullable<PodFields['securityContext']> {
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

/** A value of the environment that the kubelet must not change: `$(…)` in one is replaced by another variable. */
export const literal = (text: string): string => text.replaceAll('$', () => '$$')
