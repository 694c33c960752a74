/** Placeholder until images exist. */
import type { Box } from './box.ts'
export function infrastructureImages(): Promise<string[]> {
  return Promise.resolve([])
}
export function importImages(_box: Box, _archives: readonly string[]): Promise<void> {
  return Promise.resolve()
}
