import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { createMemoryReader } from './memory.ts'

let root = ''

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'machine-'))
})

async function given(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true })
    await writeFile(join(root, path), text)
  }
}

const meminfo = { 'proc/meminfo': 'MemTotal:       1000 kB\nMemFree:         10 kB\nMemAvailable:    500 kB\n' }
const read = async () => (await createMemoryReader(root))()

test('without a limit, what the machine has left', async () => {
  await given({ ...meminfo, 'proc/self/cgroup': '0::/\n', 'sys/fs/cgroup/memory.max': 'max\n' })
  expect(await read()).toEqual({ availableBytes: 500 * 1024, boundBy: 'machine' })
})

test('a container’s limit, less what it holds; files that nobody reads make room', async () => {
  await given({
    ...meminfo,
    'proc/self/cgroup': '0::/\n',
    'sys/fs/cgroup/memory.max': '300000\n',
    'sys/fs/cgroup/memory.current': '280000\n',
    'sys/fs/cgroup/memory.stat': 'anon 100000\nactive_file 50000\ninactive_file 130000\n',
  })
  expect(await read()).toEqual({ availableBytes: 150_000, boundBy: 'control group' })
})

test('of groups within groups the nearest limit counts, and none is less than nothing', async () => {
  const group = (path: string, max: string, current: string) => ({
    [`sys/fs/cgroup${path}/memory.max`]: max,
    [`sys/fs/cgroup${path}/memory.current`]: current,
  })
  await given({
    ...meminfo,
    'proc/self/cgroup': '1:name=systemd:/x\n0::/pods/one\n',
    ...group('/pods', '100000', '90000'),
    ...group('/pods/one', '80000', '10000'),
  })
  expect(await read()).toEqual({ availableBytes: 10_000, boundBy: 'control group' })
  await given(group('/pods/one', '80000', '90000'))
  expect(await read()).toEqual({ availableBytes: 0, boundBy: 'control group' })
})

test('where nothing of it can be read, nothing is known', async () => {
  expect(await read()).toBeNull()
  await given({ 'proc/self/cgroup': '0::/pods/one\n', 'sys/fs/cgroup/pods/one/memory.max': '80000' })
  expect(await read()).toBeNull()
})
