/** Where things are in a worker pod and in a fetch. Pure. */
import { modelName } from './names.ts'

export const scratchFolder = '/var/lib/paceline'
const modelsFolder = '/models'
/** Where a content's volume is mounted in a pod. */
export const folderOf = (sha256: string): string => `${modelsFolder}/${modelName(sha256)}`
/** As `models/cache.ts` lays it out. */
export const filePathOf = (sha256: string): string => `${folderOf(sha256)}/models/sha256/${sha256}.gguf`
