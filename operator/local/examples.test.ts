import { fileURLToPath } from 'node:url'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readFiles } from './resourceFiles.ts'
import { readResources } from './resources.ts'

const folder = fileURLToPath(new URL('../../examples', import.meta.url))

test.each(readdirSync(folder).filter((name) => name.endsWith('.yaml')))(
  'examples/%s is taken as it stands',
  async (name) => {
    const result = readResources(await readFiles(join(folder, name)))
    expect(result.kind === 'broken' ? result.problems : []).toEqual([])
  },
)
