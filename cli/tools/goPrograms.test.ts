import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { contextIn } from '../testing/context.ts'
import { clusterPrograms, kubectl, kubernetesVersion, kwok } from './goPrograms.ts'

const { context } = contextIn('')

function saying(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-go-program-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  mkdirSync(folder, { recursive: true })
  const path = join(folder, 'program')
  writeFileSync(path, `#!/bin/sh\necho "${text}"\n`)
  chmodSync(path, 0o755)
  return path
}

test('a program of exactly the pinned version will do, and no other', async () => {
  const good = await kubectl.check(saying(`Client Version: v${kubernetesVersion}`), context)
  expect(good).toEqual({ kind: 'good', version: kubernetesVersion })
  for (const version of [`v${kubernetesVersion}1`, `v1${kubernetesVersion}`, 'v1.32.0', 'nothing'])
    expect((await kubectl.check(saying(version), context)).kind).toBe('unfit')
})

test('every module pins what is compiled, in the version that its name in the cache says', () => {
  for (const { name, folder } of [...clusterPrograms, kwok]) {
    const version = folder.slice(name.length + 1)
    const module = join(import.meta.dirname, 'go', name.startsWith('kube') ? 'kubernetes' : name)
    const declared = readFileSync(join(module, 'go.mod'), 'utf8')
    if (name === 'pause') continue
    expect(declared, name).toContain(` v${version}`)
    expect(existsSync(join(module, 'go.sum')), name).toBe(true)
  }
})
