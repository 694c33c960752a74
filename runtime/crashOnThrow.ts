/**
 * Calls `run`; what it throws is a bug and ends the process as an uncaught exception.
 *
 * For handlers called from inside a library that would swallow the exception and silently stop delivering.
 */
export function crashOnThrow(run: () => void): void {
  try {
    run()
  } catch (bug) {
    queueMicrotask(() => {
      throw bug
    })
  }
}
