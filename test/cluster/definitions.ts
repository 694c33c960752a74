/** Files with the definitions of our kinds, as the chart brings them. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { projectFolder } from '../bench/harness/machine.ts'

const folder = join(projectFolder, 'charts', 'paceline', 'files', 'crds')

export const definitions: readonly string[] = readdirSync(folder).map((name) => join(folder, name))
