/** The values of the chart: what is refused, what each of them changes, what the notes say. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { valueKeys } from '../../charts/valuesTable.ts'
import { at, chart, listAt, render, renderNotes, whyNoHelm } from './support/helm.ts'

const reason = whyNoHelm()
if (reason !== null) console.warn(`the chart is not rendered: ${reason}`)

/** Every part of the chart is made, and nothing of it at random. */
const everything = {
  router: { ingress: { enabled: true, hosts: ['a.example'] }, topologySpread: { zone: 1 } },
  nats: { auth: { existingSecret: 'auth' }, tls: { existingSecret: 'tls' } },
  modelCache: { huggingFaceToken: { secretName: 'hf' } },
  monitoring: {
    serviceMonitor: { enabled: true },
    podMonitor: { enabled: true },
    prometheusRule: { enabled: true },
  },
  // Long texts that hardly any value changes.
  crds: { install: false },
  tests: { apiKey: { secretName: 'key' } },
}
/** Where a value only counts together with another one. */
const beside: Readonly<Record<string, object>> = {
  'router.autoscaling.minReplicas': { router: { autoscaling: { enabled: true } } },
  'router.autoscaling.maxReplicas': { router: { autoscaling: { enabled: true } } },
  'crds.keep': { crds: { install: true } },
  'monitoring.dashboards.label': { monitoring: { dashboards: { enabled: true } } },
  'monitoring.dashboards.folder': { monitoring: { dashboards: { enabled: true } } },
  'router.autoscaling.cpuPercent': { router: { autoscaling: { enabled: true } } },
}
const another: Readonly<Record<string, unknown>> = {
  'image.pullPolicy': 'Always',
  'operator.logLevel': 'debug',
  'router.logLevel': 'debug',
  'router.service.type': 'NodePort',
  'modelCache.kind': 'ephemeral',
  'modelCache.accessMode': 'ReadWriteMany',
  'modelCache.huggingFaceEndpoint': 'https://mirror.example',
  'router.publicUrl': 'https://llm.example',
  'nats.external.url': 'nats://else:4222',
  'operator.lease.durationMs': 20_000,
  'router.podDisruptionBudget.maxUnavailable': '10%',
}

describe.skipIf(reason !== null)('values', () => {
  const text = readFileSync(join(chart, 'values.yaml'), 'utf8')
  const leaves = valueKeys(text).filter(({ value }) => value !== null)
  const bases = new Map<string, string>()
  const output = (values: object) => {
    const rendered = render(values)
    expect(rendered.code, rendered.output).toBe(0)
    return rendered.output
  }
  const baseOf = (values: object) => {
    const key = JSON.stringify(values)
    const known = bases.get(key) ?? output(values)
    bases.set(key, known)
    return known
  }

  // Makes something random, which is compared below instead.
  const random = ['nats.tls.validityDays', 'nats.auth.existingSecret', 'nats.tls.existingSecret']
  test.each(leaves.filter(({ path }) => !random.includes(path)))('$path is read by a template', ({ path, value }) => {
    const base = merged(everything, beside[path] ?? {})
    const changed = merged(base, nested(path, another[path] ?? changedFrom(path, JSON.parse(value ?? 'null'))))
    expect(output(changed) !== baseOf(base)).toBe(true)
  })

  test('a certificate of the chart is as long good as it is told, and names the service', () => {
    const secret = render({ nats: { tls: { validityDays: 30 } } }).object('Secret', 'paceline-nats-tls')
    const decoded = (key: string) => new X509Certificate(Buffer.from(String(at(secret, 'data', key)), 'base64'))
    const days = (decoded('tls.crt').validToDate.getTime() - decoded('tls.crt').validFromDate.getTime()) / 86_400_000
    expect(days).toBeCloseTo(30, 0)
    expect(decoded('tls.crt').checkHost('paceline-nats.llm.svc')).toBe('paceline-nats.llm.svc')
    expect(decoded('tls.crt').verify(decoded('ca.crt').publicKey)).toBe(true)
  })

  test('named Secrets are used, and none is made', () => {
    const rendered = render(everything)
    expect(rendered.objects.filter(({ kind }) => kind === 'Secret')).toEqual([])
    expect(rendered.output).toMatch(/secretKeyRef: \{ name: auth, key: router \}/)
    expect(rendered.output).toMatch(/secret: \{ secretName: tls \}/)
  })

  test('passwords of the chart are long, random and three', () => {
    const passwords = () => Object.values(at(render().object('Secret', 'paceline-nats-auth'), 'data') ?? {}).map(String)
    const all = [...passwords(), ...passwords()]
    expect(new Set(all).size).toBe(6)
    for (const each of all) expect(Buffer.from(each, 'base64').toString()).toMatch(/^[A-Za-z0-9]{40}$/)
  })
})

describe.skipIf(reason !== null)('the schema refuses', () => {
  const refusals: readonly (readonly [string, object, RegExp])[] = [
    ['a key that nobody knows', { replicas: 3 }, /additional properties 'replicas' not allowed/],
    ['a misspelt key below', { router: { replica: 3 } }, /additional properties 'replica' not allowed/],
    ['a negative number', { router: { replicas: -1 } }, /minimum/],
    ['text for a number', { operator: { replicas: 'two' } }, /got string, want integer/],
    ['a digest that is none', { worker: { image: { digest: 'sha256:12' } } }, /digest/],
    ['a word that is no choice', { image: { pullPolicy: 'Sometimes' } }, /pullPolicy/],
    ['a password in an address', { nats: { external: { url: 'nats://me:secret@host:4222' } } }, /url/],
    ['a port that only root may open', { worker: { port: 80 } }, /minimum/],
    ['a key that was taken away', { router: { limits: null } }, /limits/],
  ]
  test.each(refusals)('%s', (_, values, message) => {
    const { code, output } = render(values)
    expect(code).not.toBe(0)
    expect(output).toMatch(message)
  })
})

describe.skipIf(reason !== null)('the notes', () => {
  test('tell the next two commands', () => {
    const notes = renderNotes({})
    const commands = notes.split('\n').filter((line) => line.startsWith('  kubectl '))
    expect(commands).toEqual([
      '  kubectl apply -n llm -f examples/smol.yaml',
      '  kubectl port-forward -n llm service/paceline-router 8080:80',
    ])
  })

  test('warn where nobody defines the resources', () => {
    expect(renderNotes({ crds: { install: false } })).toContain('crds.install is off')
  })
})

describe.skipIf(reason !== null)('names', () => {
  test('begin with the release, which is not repeated where it is called like the chart', () => {
    expect(render({}, { release: 'mine' }).object('Deployment', 'mine-paceline-router').metadata.name).toBe(
      'mine-paceline-router',
    )
    expect(render({ fullnameOverride: 'other' }).object('Deployment', 'other-router').metadata.name).toBe(
      'other-router',
    )
  })

  test('two releases in two namespaces share no cluster-wide object but the definitions', () => {
    const clusterWide = render().objects.filter(({ kind }) =>
      /^Cluster|^CustomResource|^PriorityClass|Webhook/.test(kind),
    )
    expect(clusterWide.filter(({ kind }) => kind !== 'CustomResourceDefinition')).toEqual([])
    expect(
      render({ crds: { install: false } }).objects.filter(({ kind }) => kind === 'CustomResourceDefinition'),
    ).toEqual([])
  })

  test('the definitions stay when the release goes, unless told otherwise', () => {
    const definitions = (values: object) =>
      render(values).objects.filter(({ kind }) => kind === 'CustomResourceDefinition')
    expect(definitions({}).map(({ metadata }) => metadata.name)).toEqual([
      'modeldeployments.paceline.dev',
      'modelroutes.paceline.dev',
    ])
    for (const { metadata } of definitions({})) expect(metadata.annotations['helm.sh/resource-policy']).toBe('keep')
    for (const { metadata } of definitions({ crds: { keep: false } }))
      expect(metadata.annotations).not.toHaveProperty('helm.sh/resource-policy')
  })
})

test.skipIf(reason !== null)(
  'the operator has the rules of files/operator-rules.yaml, and nothing else has any',
  () => {
    const roles = render().objects.filter(({ kind }) => kind === 'Role')
    expect(roles.map(({ metadata }) => metadata.name)).toEqual(['paceline-operator'])
    expect(listAt(roles[0], 'rules')).toEqual(parse(readFileSync(join(chart, 'files', 'operator-rules.yaml'), 'utf8')))
  },
)

function nested(path: string, value: unknown): object {
  const [head = '', ...rest] = path.split('.')
  return { [head]: rest.length === 0 ? value : nested(rest.join('.'), value) }
}

function merged(base: object, change: object): object {
  const result: Record<string, unknown> = { ...base }
  for (const [key, value] of Object.entries(change)) {
    const before = result[key]
    const both = isFields(before) && isFields(value)
    result[key] = both ? merged(before, value) : value
  }
  return result
}

/** Something else that the schema takes as well. */
function changedFrom(path: string, value: unknown): unknown {
  const given = path.split('.').reduce<unknown>((inner, key) => at(inner, key), everything) ?? value
  const name = path.split('.').at(-1) ?? ''
  if (typeof given === 'boolean') return !given
  if (typeof given === 'number') return given < 1 ? given / 2 : given + 1
  if (name === 'digest') return `sha256:${'1'.repeat(64)}`
  if (Array.isArray(given)) return listOf(name)
  if (isFields(given)) return fieldsOf(name)
  if (/[Ss]ize$/.test(name)) return '7Gi'
  if (name.endsWith('Max')) return '7GB'
  if (name === 'interval') return '7s'
  return `x${String(given)}`
}

function listOf(name: string): unknown[] {
  if (name === 'apiServerPorts') return [7_443]
  if (['pullSecrets', 'hosts', 'plainHttpHosts'].includes(name)) return ['seven']
  return [{ seven: 'seven' }]
}

function fieldsOf(name: string): object {
  if (name === 'topologySpread') return { rack: 7 }
  if (name === 'requests' || name === 'limits') return { cpu: '7' }
  return { seven: 'seven' }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

test('what stands in values.yaml can be read at all', () => {
  expect(parse(readFileSync(join(chart, 'values.yaml'), 'utf8'))).toBeTypeOf('object')
})
