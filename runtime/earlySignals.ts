/**
 * Ends the process on SIGTERM while it is still loading. Images load this before anything else (`NODE_OPTIONS=--import`).
 *
 * The first process of a container ignores every signal that it has no handler for. Loading takes half a second or more; a pod that
 * was deleted then would hear nothing and hold its place, and its pair's deletion, for the whole grace period.
 */
export function endEarly(): void {
  process.exit(143)
}

process.on('SIGTERM', endEarly)
