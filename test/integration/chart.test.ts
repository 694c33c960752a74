/** What the chart renders, for each documented variant: accepted by the parts' own schemas, restricted, labelled, without wildcards. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import * as z from 'zod'
import { OperatorConfig } from '#contracts/operatorConfig.ts'
import { RouterConfig } from '#contracts/routerConfig.ts'
import { natsAuthorityVariable, natsPasswordVariable } from '#contracts/workerConfig.ts'
import { root } from '../tidy/tree.ts'
import { at, lint, listAt, type Manifest, render, whyNoHelm } from './support/helm.ts'

const reason = whyNoHelm()
if (reason !== null) console.warn(`the chart is not rendered: ${reason}`)

const folder = join(root, 'charts', 'variants')
const variants: Readonly<Record<string, unknown>> = {
  'the defaults': {},
  ...Object.fromEntries(
    readdirSync(folder)
      .filter((name) => name.endsWith('.yaml'))
      .map((name) => [name, parse(readFileSync(join(folder, name), 'utf8')) as unknown]),
  ),
}

describe.skipIf(reason !== null).each(Object.entries(variants))('the chart with %s', (_, values) => {
  const rendered = reason === null ? render(values) : null
  const objects = rendered?.objects ?? []
  const pods = objects.flatMap(podsOf)

  test('is well-formed to helm lint, and renders', () => {
    expect(lint(values)).toMatchObject({ code: 0 })
    expect(rendered?.code, rendered?.output).toBe(0)
    expect(objects.length).toBeGreaterThan(10)
  })

  test('gives operator and router settings that they accept', () => {
    const operator = OperatorConfig.parse(
      settingOf(rendered?.object('Deployment', 'paceline-operator'), 'PACELINE_OPERATOR'),
    )
    const router = RouterConfig.parse(settingOf(rendered?.object('Deployment', 'paceline-router'), 'PACELINE_ROUTER'))
    expect(operator.platform).toMatchObject({ kind: 'kubernetes', namespace: 'llm' })
    expect(router.nats.url).toBe(operator.nats.url)
  })

  test('leaves every pod time to drain', () => {
    const router = rendered?.object('Deployment', 'paceline-router')
    const { drainDelayMs, drainGraceMs } = RouterConfig.parse(settingOf(router, 'PACELINE_ROUTER')).limits
    expect(drainDelayMs).toBeGreaterThan(0)
    expect(at(router, 'spec', 'template', 'spec', 'terminationGracePeriodSeconds')).toBeGreaterThan(
      (drainDelayMs + drainGraceMs) / 1_000,
    )
  })

  test('passes the Pod Security Standard "restricted", with a read-only root and bounded memory', () => {
    expect(pods.length).toBeGreaterThan(2)
    for (const { name, spec } of pods) {
      expect(spec, name).toMatchObject({
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
      })
      for (const forbidden of ['hostNetwork', 'hostPID', 'hostIPC']) expect(spec).not.toHaveProperty(forbidden)
      for (const volume of listAt(spec, 'volumes')) expect(volume).not.toHaveProperty('hostPath')
      for (const container of listAt(spec, 'containers')) {
        expect(at(container, 'securityContext')).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          runAsNonRoot: true,
          capabilities: { drop: ['ALL'] },
          seccompProfile: { type: 'RuntimeDefault' },
        })
        expect(at(container, 'resources', 'limits', 'memory'), name).toEqual(expect.any(String))
      }
    }
  })

  test('mounts a token only into the operator and into what takes its finalizers off at the end', () => {
    const withToken = pods
      .filter(({ spec }) => at(spec, 'automountServiceAccountToken') !== false)
      .map(({ name }) => name)
    expect(withToken).toEqual(['Deployment paceline-operator', 'Job paceline-uninstall'])
  })

  test('labels everything as Kubernetes recommends', () => {
    for (const { kind, metadata } of objects)
      expect(metadata.labels, `${kind} ${metadata.name}`).toMatchObject({
        'app.kubernetes.io/name': 'paceline',
        'app.kubernetes.io/instance': 'paceline',
        'app.kubernetes.io/component': expect.any(String) as unknown,
        'app.kubernetes.io/part-of': 'paceline',
        'app.kubernetes.io/version': expect.any(String) as unknown,
        'app.kubernetes.io/managed-by': 'Helm',
        'helm.sh/chart': expect.stringMatching(/^paceline-/) as unknown,
      })
  })

  test('selects its own pods: selectors of Deployments, Services, budgets and policies fit their labels', () => {
    const labels = pods.map(({ labels: own }) => own)
    const selectors = objects
      .filter(({ metadata }) => metadata.name !== 'paceline-worker')
      .map((object) => ({
        name: `${object.kind} ${object.metadata.name}`,
        selector:
          at(object, 'spec', 'selector', 'matchLabels') ??
          at(object, 'spec', 'podSelector', 'matchLabels') ??
          (object.kind === 'Service' ? at(object, 'spec', 'selector') : undefined),
      }))
      .filter(({ selector }) => selector !== undefined)
    expect(selectors.length).toBeGreaterThan(3)
    for (const { name, selector } of selectors)
      expect(labels.filter((own) => isSubset(selector, own)).length, name).toBe(
        name.startsWith('ServiceMonitor') ? 1 : 1,
      )
  })

  test('grants nothing with a wildcard, and nothing outside its namespace', () => {
    const roles = objects.filter(({ kind }) => kind.endsWith('Role') || kind.endsWith('RoleBinding'))
    expect(roles.map(({ kind }) => kind).toSorted()).toEqual(['Role', 'Role', 'RoleBinding', 'RoleBinding'])
    expect(JSON.stringify(roles)).not.toContain('*')
  })

  test('holds no password outside a Secret', () => {
    const secrets = objects
      .filter(({ kind }) => kind === 'Secret')
      .flatMap((secret) => Object.values(z.record(z.string(), z.string()).parse(at(secret, 'data'))))
    const others = JSON.stringify(objects.filter(({ kind }) => kind !== 'Secret'))
    for (const encoded of secrets) expect(others).not.toContain(Buffer.from(encoded, 'base64').toString())
  })

  test('gives every part its own password, and the authority where NATS has TLS', () => {
    const url = String(
      at(settingOf(rendered?.object('Deployment', 'paceline-router'), 'PACELINE_ROUTER'), 'nats', 'url'),
    )
    for (const role of ['operator', 'router']) {
      const environment = listAt(
        rendered?.object('Deployment', `paceline-${role}`),
        'spec',
        'template',
        'spec',
        'containers',
        0,
        'env',
      )
      const named = (name: string) => environment.find((entry) => at(entry, 'name') === name)
      expect(at(named(natsPasswordVariable), 'valueFrom', 'secretKeyRef', 'key')).toBe(role)
      expect(at(named(natsAuthorityVariable), 'valueFrom', 'secretKeyRef', 'key')).toBe(
        url.startsWith('tls:') ? 'ca.crt' : undefined,
      )
    }
  })
})

function podsOf(object: Manifest): { name: string; spec: unknown; labels: unknown }[] {
  const name = `${object.kind} ${object.metadata.name}`
  if (object.kind === 'Pod') return [{ name, spec: object['spec'], labels: object.metadata.labels }]
  const template = at(object, 'spec', 'template')
  if (template === undefined) return []
  return [{ name, spec: at(template, 'spec'), labels: at(template, 'metadata', 'labels') }]
}

test.skipIf(reason !== null)(
  'the router keeps traffic only where it is told to, in a folder that goes with the pod',
  () => {
    const routerOf = (values: object) => render(values).object('Deployment', 'paceline-router')
    const folderOf = (router: Manifest | undefined) =>
      RouterConfig.parse(settingOf(router, 'PACELINE_ROUTER')).trafficFolder
    const silent = routerOf({})
    expect(folderOf(silent)).toBeUndefined()
    expect(at(silent, 'spec', 'template', 'spec', 'volumes')).toBeUndefined()
    const keeping = routerOf({ router: { trafficLog: { enabled: true } } })
    const pod = at(keeping, 'spec', 'template', 'spec')
    expect(at(pod, 'containers', 0, 'volumeMounts')).toEqual([{ name: 'traffic', mountPath: folderOf(keeping) }])
    expect(at(pod, 'volumes')).toEqual([{ name: 'traffic', emptyDir: { sizeLimit: '320Mi' } }])
  },
)

function settingOf(deployment: unknown, variable: string): unknown {
  const entry = listAt(deployment, 'spec', 'template', 'spec', 'containers', 0, 'env').find(
    (each) => at(each, 'name') === variable,
  )
  return JSON.parse(String(at(entry, 'value')))
}

function isSubset(selector: unknown, labels: unknown): boolean {
  return Object.entries(z.record(z.string(), z.string()).parse(selector)).every(
    ([key, value]) => at(labels, key) === value,
  )
}
