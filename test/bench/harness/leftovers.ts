/**
 * What a process holds: heap after a full collection, open files, timers and other active resources. Taken before and after a
 * soak, the difference is what leaked.
 */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Child } from './child.ts'
import { projectFolder } from './machine.ts'
import { openFiles, residentBytes } from './processes.ts'
import { scrape, total } from './prometheus.ts'

/** Node flags that let `holdings` ask for a collection. */
export const collectable: readonly string[] = [
  '--expose-gc',
  '--import',
  join(projectFolder, 'test', 'bench', 'harness', 'collectGarbage.ts'),
]

export interface Holdings {
  readonly heapMiB: number
  readonly residentMiB: number
  readonly files: number
  readonly timers: number
  readonly resources: number
}

export async function holdings(child: Child, metricsUrl: string): Promise<Holdings> {
  // Twice: what the first collection's finalizers release goes with the second.
  for (let pass = 0; pass < 2; pass += 1) {
    child.signal('SIGUSR2')
    await wait(300)
  }
  const samples = await scrape(metricsUrl)
  const mib = (bytes: number) => Math.round((bytes / 2 ** 20) * 10) / 10
  return {
    heapMiB: mib(total(samples, 'nodejs_heap_size_used_bytes')),
    residentMiB: mib(residentBytes(child.pid)),
    files: openFiles(child.pid),
    timers: total(samples, 'nodejs_active_resources', { type: 'Timeout' }),
    resources: total(samples, 'nodejs_active_resources'),
  }
}
