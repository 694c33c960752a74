/**
 * The CustomResourceDefinitions in `charts/paceline/files/crds`, from the same schemas that parse resource files. Pure.
 *
 * Not in `charts/paceline/crds`: Helm installs what lies there and never upgrades it; the chart's own template reads these.
 */
import { stringify } from 'yaml'
import type * as z from 'zod'
import { group, version } from '#contracts/resources/metadata.ts'
import { ModelDeployment } from '#contracts/resources/modelDeployment.ts'
import { ModelRoute } from '#contracts/resources/modelRoute.ts'
import { type StructuralSchema, structuralSchema } from './structuralSchema.ts'

interface PrinterColumn {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'date'
  readonly jsonPath: string
  readonly description: string
  /** 1: only with `-o wide`. */
  readonly priority?: 1
}

export interface ResourceKind {
  readonly schema: z.ZodType
  readonly kind: string
  readonly singular: string
  readonly plural: string
  readonly shortNames: readonly string[]
  readonly description: string
  readonly columns: readonly PrinterColumn[]
  /** Whether `kubectl scale`, autoscalers and disruption budgets may ask how many workers it has. */
  readonly scale: boolean
}

const condition = (type: string, field: string) => `.status.conditions[?(@.type=="${type}")].${field}`

const age: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'Since when it exists.',
}

export const resourceKinds: readonly ResourceKind[] = [
  {
    schema: ModelDeployment,
    kind: 'ModelDeployment',
    singular: 'modeldeployment',
    plural: 'modeldeployments',
    shortNames: ['pair', 'pairs'],
    description:
      'A pair: a target model together with whatever makes it fast and small, served, rolled out and rolled back as one.',
    scale: true,
    columns: [
      { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Requests are answered.' },
      { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Why, in one word.' },
      {
        name: 'Replicas',
        type: 'integer',
        jsonPath: '.status.readyReplicas',
        description: 'Workers that answer requests.',
      },
      { name: 'Wanted', type: 'integer', jsonPath: '.status.desiredReplicas', description: 'Workers wanted now.' },
      { name: 'URL', type: 'string', jsonPath: '.status.url', description: 'Where clients reach it.' },
      age,
      {
        name: 'Revision',
        type: 'string',
        jsonPath: '.status.currentRevision',
        description: 'The revision that is fully rolled out.',
        priority: 1,
      },
      {
        name: 'Goodput',
        type: 'number',
        jsonPath: '.status.measured.sloGoodput',
        description: 'Requests per second that met their SLO.',
        priority: 1,
      },
      {
        name: 'Degraded',
        type: 'string',
        jsonPath: condition('Degraded', 'reason'),
        description: 'What a person should look at.',
        priority: 1,
      },
      {
        name: 'Message',
        type: 'string',
        jsonPath: condition('Ready', 'message'),
        description: 'Why, in a sentence.',
        priority: 1,
      },
    ],
  },
  {
    schema: ModelRoute,
    kind: 'ModelRoute',
    singular: 'modelroute',
    plural: 'modelroutes',
    shortNames: ['mroute', 'mroutes'],
    description: 'A model name for clients that stands for a policy over pairs.',
    scale: false,
    columns: [
      { name: 'Model', type: 'string', jsonPath: '.spec.name', description: 'The name that clients use.' },
      { name: 'Ready', type: 'string', jsonPath: condition('Ready', 'status'), description: 'Requests are routed.' },
      { name: 'Reason', type: 'string', jsonPath: condition('Ready', 'reason'), description: 'Why, in one word.' },
      age,
      {
        name: 'Deployments',
        type: 'string',
        jsonPath: condition('DeploymentsReady', 'reason'),
        description: 'How the deployments stand that it names.',
        priority: 1,
      },
      {
        name: 'Degraded',
        type: 'string',
        jsonPath: condition('Degraded', 'reason'),
        description: 'What a person should look at.',
        priority: 1,
      },
      {
        name: 'Calibration',
        type: 'string',
        jsonPath: condition('CalibrationReady', 'reason'),
        description: 'Whether a cascade may keep answers, or why not.',
        priority: 1,
      },
      {
        name: 'Threshold',
        type: 'string',
        jsonPath: '.status.calibrations[*].threshold',
        description: 'The scores that answers of each step must be over.',
        priority: 1,
      },
      {
        name: 'Message',
        type: 'string',
        jsonPath: condition('Ready', 'message'),
        description: 'Why, in a sentence.',
        priority: 1,
      },
    ],
  },
]

/** Path in the chart → text. */
export const crdFiles: Readonly<Record<string, () => string>> = Object.fromEntries(
  resourceKinds.map((resource) => [`charts/paceline/files/crds/${resource.plural}.yaml`, () => crdText(resource)]),
)

export function crdText(resource: ResourceKind): string {
  const note = '# Generated from contracts/resources/ by `npm run generate`; edit that instead.\n'
  return (
    note +
    stringify(crdOf(resource), {
      lineWidth: 120,
      aliasDuplicateObjects: false,
      // The YAML that kubectl reads: there a bare off is a boolean.
      version: '1.1',
    })
  )
}

export function crdOf(resource: ResourceKind) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${resource.plural}.${group}`,
      labels: { 'app.kubernetes.io/name': 'paceline', 'app.kubernetes.io/part-of': 'paceline' },
      // Removing a definition removes every resource of its kind: no chart may do that by the way.
      annotations: { 'helm.sh/resource-policy': 'keep' },
    },
    spec: {
      group,
      scope: 'Namespaced',
      names: {
        kind: resource.kind,
        listKind: `${resource.kind}List`,
        singular: resource.singular,
        plural: resource.plural,
        shortNames: [...resource.shortNames],
        categories: ['all', 'paceline'],
      },
      versions: [versionOf(resource)],
    },
  }
}

function versionOf(resource: ResourceKind) {
  const scale = {
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.status.selector',
  }
  return {
    name: version,
    served: true,
    storage: true,
    subresources: { status: {}, ...(resource.scale ? { scale } : {}) },
    additionalPrinterColumns: resource.columns,
    schema: { openAPIV3Schema: rootSchema(resource) },
  }
}

/** Type and metadata are the API server's own; the operator may write a status bit by bit. */
export function rootSchema({ schema, description }: ResourceKind): StructuralSchema {
  const { properties = {}, ...root } = structuralSchema(schema)
  const { spec, status } = properties
  const { required: _, ...openStatus } = status ?? {}
  return {
    ...root,
    description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: 'Version of this form.' },
      kind: { type: 'string', description: 'Kind of resource.' },
      metadata: { type: 'object' },
      spec: { ...spec, description: 'What should be.' },
      status: { ...openStatus, description: 'What is; written by the operator.' },
    },
  }
}
