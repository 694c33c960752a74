/** What can be said about a model file before native code opens it, so that the common mistakes get a message that helps. */
import { open } from 'node:fs/promises'
import { Failure } from '#contracts/failure.ts'

const magic = 'GGUF'

export async function checkModelFile(path: string): Promise<void> {
  const start = await readStart(path)
  if (start === magic) return
  const looksLike = start === 'vers' ? ' (it is a Git LFS pointer: fetch the file itself)' : ''
  throw new Failure(
    'model-unusable',
    `${path} is not a GGUF file: it starts with ${JSON.stringify(start)}${looksLike}. Convert the model to GGUF, or correct spec.target.source`,
  )
}

async function readStart(path: string): Promise<string> {
  try {
    await using file = await open(path, 'r')
    const { buffer, bytesRead } = await file.read(new Uint8Array(magic.length), 0, magic.length, 0)
    return new TextDecoder('latin1').decode(buffer.subarray(0, bytesRead))
  } catch (error) {
    throw new Failure('model-unusable', `the model file ${path} cannot be read: ${String(error)}`, { cause: error })
  }
}
