import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { permissions, type Role } from '#contracts/permissions.ts'
import { chartNatsUsers, passwordVariable } from './natsUsers.ts'

const roles = Object.keys(permissions) as Role[]
const template = readFileSync(join(import.meta.dirname, 'paceline', 'templates', 'nats.yaml'), 'utf8')

test('every subject that a role may use is in the users of the chart, and no other', () => {
  const text = chartNatsUsers()
  const quoted = [...text.matchAll(/"([^"]*)"/g)].map(([, subject]) => subject)
  const expected = roles.flatMap((role) => [role, ...permissions[role].publish, ...permissions[role].subscribe])
  expect(quoted).toEqual(expected)
})

test('passwords come from the environment that the StatefulSet sets', () => {
  expect(template).toContain('range $role := list "operator" "router" "worker"')
  expect(roles.toSorted()).toEqual(['operator', 'router', 'worker'])
  for (const role of roles) expect(chartNatsUsers()).toContain(`password: $${passwordVariable(role)}\n`)
  expect(template).toContain('PACELINE_{{ upper $role }}_QUOTED')
})
