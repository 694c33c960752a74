/**
 * Takes a cluster down and leaves nothing: only processes found in its own mount namespace or its own control groups are ended.
 */
import { existsSync, rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Addresses } from './addresses.ts'
import { Box, commandOf } from './box.ts'
import { attempt } from './commands.ts'
import { podProcesses, removeControlGroups } from './controlGroups.ts'

const roundMs = 50
const politeMs = 1_500
const waitMsMax = 15_000

/** What could not be removed, as lines for a person; empty is good. Safe to call for a cluster that is half up or half down. */
export async function takeDown(addresses: Addresses): Promise<string[]> {
  const box = Box.find(addresses)
  if (box !== null) {
    // First whoever would start again what ends here.
    for (const name of ['kubelet', 'kube-proxy', 'kwok']) if (box.pidOf(name) !== null) box.signal(name, 'SIGTERM')
    await sleep(200)
  }
  const ours = () => [...podProcesses(addresses.id), ...(box?.processes() ?? [])]
  for (const pid of podProcesses(addresses.id)) end(pid, 'SIGKILL')
  // A frozen component hears nothing but this.
  for (const pid of ours()) end(pid, 'SIGTERM')
  for (let waitedMs = 0; waitedMs < waitMsMax && ours().length > 0; waitedMs += roundMs) {
    if (waitedMs >= politeMs) for (const pid of ours()) end(pid, 'SIGKILL')
    await sleep(roundMs)
  }
  const left = ours().map((pid) => `process ${pid} ${commandOf(pid)}`)
  // The last one to hold the namespaces: mounts, bridge, rules and pods' namespaces go with it.
  if (box !== null) end(box.pid, 'SIGKILL')
  await attempt('ip', ['link', 'del', addresses.id])
  left.push(...(await removeControlGroups(addresses.id)).map((path) => `control group ${path}`))
  if (left.length === 0) await removeFolder(addresses.folder)
  return left
}

async function removeFolder(folder: string): Promise<void> {
  // A dying namespace lets go of its mounts a moment after its last process.
  for (let round = 0; round < 50 && existsSync(folder); round += 1) {
    try {
      rmSync(folder, { recursive: true, force: true })
    } catch (error) {
      if (round === 49) throw error
      await sleep(100)
    }
  }
}

function end(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone already, which is what was wanted.
  }
}
