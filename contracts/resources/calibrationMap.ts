/**
 * Calibrations are kept in ordinary ConfigMaps with a label of ours, in a cluster and in local resource files alike. What their keys hold
 * is read where it is used (`contracts/calibration.ts`): a text that is wrong makes a route degraded, not a file unreadable.
 */
import * as z from 'zod'
import { calibrationKind } from '../calibration.ts'

export const CalibrationMap = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('ConfigMap'),
  metadata: z.object({
    name: z
      .string()
      .max(253)
      .regex(/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/, 'lower-case letters, digits, "-" and "."'),
    namespace: z.string().optional(),
    labels: z.looseObject({
      'paceline.dev/kind': z.literal(calibrationKind, `must be ${calibrationKind}: other ConfigMaps mean nothing here`),
    }),
    annotations: z.record(z.string(), z.string()).optional(),
  }),
  data: z.record(z.string(), z.string()),
})
export type CalibrationMap = z.infer<typeof CalibrationMap>
