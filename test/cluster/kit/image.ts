/** Images as one OCI archive: what they share (Node, packages) is in it once. */
import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import type { Layer } from './layer.ts'
import { type Entry, tar } from './tar.ts'

export interface Image {
  /** As pods name it, with a tag. */
  readonly name: string
  readonly layers: readonly Layer[]
  readonly entrypoint: readonly string[]
  readonly workingDir?: string
  readonly environment?: Readonly<Record<string, string>>
  /** `uid:gid`; none is root. */
  readonly user?: string
}

const prefix = 'application/vnd.oci.image'
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

export function writeArchive(path: string, images: readonly Image[]): void {
  const blobs = new Map<string, Entry>()
  const put = (mediaType: string, content: object) => {
    const text = JSON.stringify(content)
    blobs.set(sha256(text), { kind: 'text', text, mode: 0o644 })
    return { mediaType, digest: `sha256:${sha256(text)}`, size: Buffer.byteLength(text) }
  }
  const manifests = images.map((image) => {
    for (const { sha256: digest, file } of image.layers) blobs.set(digest, { kind: 'file', source: file, mode: 0o644 })
    const config = put(`${prefix}.config.v1+json`, configOf(image))
    const manifest = put(`${prefix}.manifest.v1+json`, manifestOf(image, config))
    const annotations = {
      'io.containerd.image.name': image.name,
      'org.opencontainers.image.ref.name': image.name.split(':').at(-1),
    }
    return { ...manifest, annotations }
  })
  const folder: Entry = { kind: 'folder', mode: 0o755 }
  const text = (content: object): Entry => ({ kind: 'text', text: JSON.stringify(content), mode: 0o644 })
  const output = openSync(path, 'w')
  const entries: (readonly [string, Entry])[] = [
    ['oci-layout', text({ imageLayoutVersion: '1.0.0' })],
    ['index.json', text({ schemaVersion: 2, manifests })],
    ['blobs', folder],
    ['blobs/sha256', folder],
    ...[...blobs].map(([digest, entry]) => [`blobs/sha256/${digest}`, entry] as const),
  ]
  for (const chunk of tar(entries)) writeSync(output, chunk)
  closeSync(output)
}

function configOf(image: Image): object {
  const environment = { PATH: '/usr/local/bin:/usr/bin:/bin', ...image.environment }
  return {
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    os: 'linux',
    config: {
      Env: Object.entries(environment).map(([name, value]) => `${name}=${value}`),
      Entrypoint: image.entrypoint,
      WorkingDir: image.workingDir ?? '/',
      ...(image.user === undefined ? {} : { User: image.user }),
    },
    rootfs: { type: 'layers', diff_ids: image.layers.map((layer) => `sha256:${layer.sha256}`) },
    history: image.layers.map(() => ({ created_by: 'paceline' })),
  }
}

const manifestOf = (image: Image, config: object): object => ({
  schemaVersion: 2,
  mediaType: `${prefix}.manifest.v1+json`,
  config,
  layers: image.layers.map((layer) => ({
    mediaType: `${prefix}.layer.v1.tar`,
    digest: `sha256:${layer.sha256}`,
    size: layer.bytes,
  })),
})
