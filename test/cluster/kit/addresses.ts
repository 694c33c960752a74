/**
 * Names and addresses of one cluster, all derived from its slot, so that several can run side by side.
 *
 * A slot is a folder: making it is the lock. Everything a cluster writes is below that folder, except its veth link and its
 * control group, which carry its name.
 */
import { mkdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const slotsMax = 16

export interface Addresses {
  /** Name of link, control group and cluster. */
  readonly id: string
  readonly folder: string
  /** The host as pods see it, and the node as the host sees it. */
  readonly host: string
  readonly node: string
  readonly nodeName: string
  readonly podRange: string
  readonly serviceRange: string
  readonly apiService: string
  readonly dnsService: string
  readonly server: string
}

export function addressesOf(slot: number): Addresses {
  const node = `10.231.${slot}.2`
  return {
    id: `paceline${slot}`,
    folder: join(tmpdir(), `paceline-cluster-${slot}`),
    host: `10.231.${slot}.1`,
    node,
    nodeName: 'node-1',
    podRange: `10.232.${slot}.0/24`,
    serviceRange: `10.233.${slot * 16}.0/20`,
    apiService: `10.233.${slot * 16}.1`,
    dnsService: `10.233.${slot * 16}.10`,
    server: `https://${node}:6443`,
  }
}

export const slotOf = (folder: string): number => Number(/-(\d+)$/.exec(folder)?.[1])

/** Takes a free slot; `free` is asked to clear one whose owner is gone. Throws where all are in use. */
export async function takeSlot(free: (addresses: Addresses) => Promise<boolean>): Promise<Addresses> {
  for (let slot = 0; slot < slotsMax; slot += 1) {
    const addresses = addressesOf(slot)
    if (takes(addresses.folder)) return addresses
    if ((await free(addresses)) && takes(addresses.folder)) return addresses
  }
  throw new Error(`all ${slotsMax} cluster slots in ${tmpdir()} are in use`)
}

function takes(folder: string): boolean {
  try {
    mkdirSync(folder)
    return true
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}
