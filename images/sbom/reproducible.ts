/**
 * A CycloneDX document without what differs from build to build: its serial number becomes a hash of the lock files, its time
 * that of the sources, and where npm stood does not show.
 *
 * Nothing but Node's own modules: it runs before any package is installed.
 */
import { createHash } from 'node:crypto'

type Fields = Readonly<Record<string, unknown>>

export interface Origin {
  /** Seconds since 1970, as build tools agree on it. */
  readonly sourceDateEpoch: number
  readonly lockFiles: readonly Uint8Array[]
}

export function reproducible(document: Fields, { sourceDateEpoch, lockFiles }: Origin): Fields {
  const digest = createHash('sha256')
  for (const file of lockFiles) digest.update(file)
  const metadata = fieldsOf(document['metadata'])
  const component = fieldsOf(metadata['component'])
  // npm calls it as the folder is called.
  const name = String(component['bom-ref']).split('@')[0]
  return {
    ...document,
    serialNumber: `urn:uuid:${uuidOf(digest.digest('hex'))}`,
    metadata: {
      ...metadata,
      timestamp: new Date(sourceDateEpoch * 1_000).toISOString(),
      component: { ...component, name },
    },
  }
}

/** The Node that is copied into the image: no package, so no lock file names it. */
export function nodeComponent(version: string): Fields {
  const purl = `pkg:generic/node@${version}`
  return {
    components: [{ type: 'platform', 'bom-ref': purl, name: 'node', version, purl }],
    dependencies: [{ ref: purl }],
  }
}

/** The first document, with the components of the others. */
export function merged(documents: readonly unknown[]): Fields {
  const [first, ...more] = documents.map(fieldsOf)
  if (first === undefined) throw new Error('no document')
  const join = (key: string) => [first, ...more].flatMap((document) => listOf(document[key]))
  return { ...first, components: join('components'), dependencies: join('dependencies') }
}

/** Version 8: made by the sender's own rule. */
function uuidOf(hex: string): string {
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)]
  return parts.join('-')
}

function fieldsOf(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw new Error('not a JSON object: npm sbom wrote something else')
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}
