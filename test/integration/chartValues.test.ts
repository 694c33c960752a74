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
  router: {
    ingress: { enabled: true, hosts: ['a.example'] },
    topologySpread: { zone: 1 },
    tracing: { endpoint: 'http://collector.example:4318', sampleRatio: 0.5 },
    trafficLog: { enabled: true },
  },
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
  'crds.keep': { crds: { install: true } },
  'router.autoscaling.cpuPercent': { router: { autoscaling: { enabled: true } } },
}
/** What `everything` leaves out, because it is long or takes the place of something else. */
const whole = { router: { autoscaling: { enabled: true } }, monitoring: { dashboards: { enabled: true } } }
const another: Readonly<Record<string, unknown>> = {
  'image.pullPolicy': 'Always',
  'operator.logLevel': 'debug',
  'router.logLevel': 'debug',
  'router.service.type': 'NodePort',
  'modelCache.kind': 'ephemeral',
  'modelCache.accessMode': 'ReadWriteMany',
  'modelCache.huggingFaceEndpoint': 'https://mirror.example',
  'router.publicUrl': 'https://llm.example',
  'router.tracing.endpoint': 'https://else.example:4318',
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

  // Makes something random, which is looked at below instead.
  const read = leaves.filter(({ path }) => path !== 'nats.tls.validityDays')
  const marked = read.flatMap(({ path, value }, index) => {
    const mark = markFor(path, JSON.parse(value ?? 'null'), 2_001 + index)
    return mark === null ? [] : [{ path, ...mark }]
  })
  const others = read.filter(({ path }) => !marked.some((each) => each.path === path))

  // One rendering for all that leaves a trace of its own: Helm takes its time to start.
  test('of which each can be found again are all read by a template', () => {
    const all = marked.reduce(
      (values, { path, value }) => merged(values, nested(path, value)),
      merged(everything, whole),
    )
    const text = output(all)
    expect(marked.length).toBeGreaterThan(90)
    expect(marked.filter(({ trace }) => !text.includes(trace)).map(({ path }) => path)).toEqual([])
  })

  test.each(others)('$path is read by a template', ({ path, value }) => {
    const base = merged(everything, beside[path] ?? {})
    const changed = merged(base, nested(path, another[path] ?? changedFrom(path, JSON.parse(value ?? 'null'))))
    expect(output(changed) !== baseOf(base)).toBe(true)
  })

  test('nothing is drawn at random where Secrets are named: GitOps sees no change', () => {
    expect(output(everything)).toBe(baseOf(everything))
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
    ['a room that the traffic log outgrows', { router: { trafficLog: { sizeLimit: '256Mi' } } }, /sizeLimit/],
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
  'the operator has the rules of files/operator-rules.yaml, and beside it only the Job that frees pairs at the end has any',
  () => {
    const roles = render().objects.filter(({ kind }) => kind === 'Role')
    const rulesOf = Object.fromEntries(roles.map((role) => [role.metadata.name, listAt(role, 'rules')]))
    expect(rulesOf).toEqual({
      'paceline-operator': parse(readFileSync(join(chart, 'files', 'operator-rules.yaml'), 'utf8')) as unknown,
      'paceline-uninstall': [
        { apiGroups: ['paceline.dev'], resources: ['modeldeployments'], verbs: ['get', 'list', 'patch'] },
      ],
    })
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

/** Something else that the schema takes as well, of what leaves no trace of its own. */
function changedFrom(path: string, value: unknown): unknown {
  const given = givenAt(path) ?? value
  if (typeof given === 'boolean') return !given
  if (typeof given === 'number') return given + 1
  return path.endsWith('digest') ? `sha256:${'1'.repeat(64)}` : `x${String(given)}`
}

/** A value that no other has, and the text by which it is found again; null where there can be none. */
function markFor(path: string, value: unknown, number: number): { value: unknown; trace: string } | null {
  const alone = ['nameOverride', 'fullnameOverride', 'router.replicas', 'router.autoscaling.cpuPercent']
  if (path in another || alone.includes(path) || path.endsWith('digest')) return null
  const name = path.split('.').at(-1) ?? ''
  const given = givenAt(path) ?? value
  const word = `m${number}`
  if (typeof given === 'boolean') return null
  if (typeof given === 'number') {
    const mark = given < 1 ? Number(`0.${number}`) : number
    return { value: mark, trace: String(mark) }
  }
  if (Array.isArray(given))
    return name === 'apiServerPorts'
      ? { value: [number], trace: `port: ${number}` }
      : { value: listOf(name, word), trace: word }
  if (isFields(given)) return fieldsOf(name, number)
  if (/[Ss]ize(Limit)?$/.test(name)) return { value: `${number}Gi`, trace: `${number}Gi` }
  if (name.endsWith('Max')) return { value: `${number}GB`, trace: `${number}GB` }
  if (name === 'interval') return { value: `${number}s`, trace: `${number}s` }
  return { value: word, trace: word }
}

const givenAt = (path: string) => path.split('.').reduce<unknown>((inner, key) => at(inner, key), everything)

const listOf = (name: string, word: string): unknown[] =>
  ['pullSecrets', 'hosts', 'plainHttpHosts'].includes(name) ? [word] : [{ mark: word }]

function fieldsOf(name: string, number: number): { value: object; trace: string } {
  const trace = name === 'requests' || name === 'limits' ? String(number) : `m${number}`
  if (name === 'topologySpread') return { value: { [trace]: 1 }, trace }
  // Maps that are merged have a key each.
  return { value: { [trace === String(number) ? 'cpu' : `k${number}`]: trace }, trace }
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

describe.skipIf(reason !== null)('the network policy of the router', () => {
  const peer = (name: string) => ({ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } })
  const ingress = (networkPolicy: object) =>
    listAt(render({ networkPolicy }).object('NetworkPolicy', 'paceline-router'), 'spec', 'ingress')

  test('lets everybody in, unless somebody is named', () => {
    expect(ingress({})).toEqual([{ ports: [{ port: 'http', protocol: 'TCP' }] }])
  })

  test('lets in who is named, who scrapes, and the test of the release', () => {
    const [rule] = ingress({ routerFrom: [peer('web')], metricsFrom: [peer('monitoring')] })
    const test = { matchLabels: expect.objectContaining({ 'app.kubernetes.io/component': 'test' }) as unknown }
    expect(listAt(rule, 'from')).toEqual([peer('web'), peer('monitoring'), { podSelector: test }])
  })
})

test('what stands in values.yaml can be read at all', () => {
  expect(parse(readFileSync(join(chart, 'values.yaml'), 'utf8'))).toBeTypeOf('object')
})
