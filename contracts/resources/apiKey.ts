/**
 * API keys are ordinary Kubernetes Secrets of our type, in a cluster and in local resource files alike. Routers never see the
 * key: the operator publishes its SHA-256 (`KeyRecord`).
 */
import * as z from 'zod'
import { TenantId } from '../ids.ts'
import { Metadata } from './modelDeployment.ts'

export const apiKeySecretType = 'paceline.dev/api-key'

export const ApiKeySecret = z.strictObject({
  apiVersion: z.literal('v1'),
  kind: z.literal('Secret'),
  type: z.literal(apiKeySecretType),
  metadata: Metadata,
  stringData: z.strictObject({
    key: z
      .string()
      .min(16, 'at least 16 characters')
      .max(512)
      .describe('What clients send as `authorization: Bearer …`.'),
    tenant: TenantId.describe('Who pays, and who is treated fairly.'),
    weight: z.coerce
      .number()
      .positive()
      .default(1)
      .describe('Share of capacity under load, relative to other tenants.'),
    priority: z.coerce.number().int().default(0).describe('Higher goes first.'),
  }),
})
export type ApiKeySecret = z.infer<typeof ApiKeySecret>
