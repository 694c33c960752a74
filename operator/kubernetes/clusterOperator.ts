import type { KubernetesPlatformConfig } from '#contracts/operatorConfig.ts'
import type { Operator, OperatorPorts } from '../operator.ts'

export function startClusterOperator(
  _ports: OperatorPorts,
  _config: KubernetesPlatformConfig,
  _events: { readonly onLost: () => void },
): Promise<Operator> {
  return Promise.reject(new Error('not yet'))
}
