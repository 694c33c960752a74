/** Which controller the settings ask for (`spec.speculation.controller`). */
import type { Speculation } from '#contracts/resources/modelDeployment.ts'
import type { SpeculationController } from './controller.ts'
import { createFixedController } from './fixed.ts'
import { createGoodputController } from './goodput.ts'
import type { ShapeCostsOptions } from './shapes.ts'
import { createThresholdController } from './threshold.ts'

export function createController(kind: Speculation['controller'], costs: ShapeCostsOptions): SpeculationController {
  switch (kind) {
    case 'goodput':
      return createGoodputController(costs)
    case 'fixed':
      return createFixedController()
    case 'threshold':
      return createThresholdController(costs)
    default:
      return kind satisfies never
  }
}
