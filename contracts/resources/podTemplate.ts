/**
 * What a user may say about worker pods. A closed list: what is not here (host namespaces, host paths, privilege, service
 * accounts, commands, images, volumes) cannot be written, so whoever may write a ModelDeployment gains no power over nodes or
 * other people's secrets by it.
 */
import * as z from 'zod'
import { celPattern, hinted, ruled } from './rules.ts'

/** Kubernetes' label names and values. */
const labelName = /^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/
const labelValue = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/
const className = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/
const quantity = /^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$/

interface MapBounds {
  readonly sizeMax: number
  readonly keyPattern: RegExp
  readonly keyMessage: string
}

/** A map with bounded size and key form: CRDs can say neither of keys, so a rule does. */
function mapOf<V extends z.ZodType>(value: V, { sizeMax, keyPattern, keyMessage }: MapBounds) {
  const map = ruled(z.record(z.string(), value), [
    {
      cel: `self.all(key, key.matches('${celPattern(keyPattern)}'))`,
      message: keyMessage,
      holds: (entries) => Object.keys(entries).every((key) => keyPattern.test(key)),
    },
  ])
  const bounded = map.refine((entries) => Object.keys(entries).length <= sizeMax, `at most ${sizeMax} entries`)
  return hinted(bounded, { maxProperties: sizeMax })
}

const LabelValue = z.string().max(63).regex(labelValue, 'a label value: letters, digits, "-", "_" and "."')
const Labels = mapOf(LabelValue, {
  sizeMax: 32,
  keyPattern: labelName,
  keyMessage: 'a label name: [prefix/]name of letters, digits, "-", "_" and "."',
})
const Quantity = hinted(
  z.union([z.int().min(0).max(1_000_000_000_000), z.string().max(32).regex(quantity, 'a quantity: 2, 500m, 8Gi')]),
  { intOrString: true },
)
const Quantities = mapOf(Quantity, {
  sizeMax: 16,
  keyPattern: labelName,
  keyMessage: 'a resource name: cpu, memory, nvidia.com/gpu, …',
})

export const Resources = z.strictObject({
  limits: Quantities.default({}).describe('What a worker may use at most; `nvidia.com/gpu: 1` gives it a GPU.'),
  requests: Quantities.default({}).describe('What is set aside for a worker.'),
})
export type Resources = z.infer<typeof Resources>

const Toleration = z.strictObject({
  key: z
    .string()
    .max(316)
    .regex(labelName, 'a taint key')
    .optional()
    .describe('Taint key; absent with `operator: Exists` matches every taint.'),
  operator: z.enum(['Exists', 'Equal']).default('Equal').describe('How `key` and `value` match a taint.'),
  value: LabelValue.optional().describe('Taint value; only with `operator: Equal`.'),
  effect: z
    .enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute'])
    .optional()
    .describe('Taint effect; absent: every one.'),
  tolerationSeconds: z.int().min(0).max(31_536_000).optional().describe('With `NoExecute`: stay only this long.'),
})

/** As Kubernetes defines them; judged by the API server when the pod is made. */
const opaque = (text: string) => hinted(z.record(z.string(), z.unknown()), { opaque: true }).optional().describe(text)

/**
 * Labels by which the operator and the cluster know a pod. Annotations are left out altogether: container runtimes and sidecar
 * injectors read orders from them (devices, host volumes, images), and no list of those is ever complete.
 */
const OwnKeys = /^(paceline\.dev|app\.kubernetes\.io|([a-z0-9.-]+\.)?(kubernetes|k8s)\.io)\//
const PodLabels = ruled(Labels, [
  {
    cel: `self.all(key, !key.matches('${celPattern(OwnKeys)}'))`,
    message:
      'labels of paceline.dev, app.kubernetes.io, kubernetes.io and k8s.io are set by others; choose another prefix',
    holds: (labels) => Object.keys(labels).every((key) => !OwnKeys.test(key)),
  },
])

export const PodTemplate = z.strictObject({
  metadata: z
    .strictObject({ labels: PodLabels.default({}).describe('Further labels of worker pods.') })
    .prefault({})
    .describe('Further labels.'),
  spec: z
    .strictObject({
      nodeSelector: Labels.default({}).describe('Node labels that a worker needs.'),
      tolerations: z
        .array(Toleration)
        .max(32)
        .default([])
        .describe('Taints that workers tolerate, such as those of GPU nodes.'),
      affinity: opaque('Affinity of worker pods, as in a Pod.'),
      topologySpreadConstraints: z
        .array(hinted(z.record(z.string(), z.unknown()), { opaque: true }))
        .max(8)
        .default([])
        .describe('Spread over nodes or zones, as in a Pod.'),
      runtimeClassName: z
        .string()
        .max(253)
        .regex(className, className.source)
        .optional()
        .describe('Runtime class, such as `nvidia`.'),
      priorityClassName: z
        .string()
        .max(253)
        .regex(
          /^([a-rt-z0-9]|s[a-xz0-9.-]|sy[a-rt-z0-9.-])[a-z0-9.-]*$/,
          "a priority class that is not the system's own",
        )
        .optional()
        .describe('Priority of worker pods against others; those of the system itself are refused.'),
      schedulerName: z
        .string()
        .max(253)
        .regex(className, className.source)
        .optional()
        .describe('Another scheduler than the default one.'),
    })
    .prefault({})
    .describe("The part of a Pod's spec that is yours to choose."),
})
export type PodTemplate = z.infer<typeof PodTemplate>
