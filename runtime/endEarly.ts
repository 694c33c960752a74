/** What SIGTERM does before a program has its own answer to it (`earlySignals.ts` puts it in place, `shutdown.ts` takes it away). */
export function endEarly(): void {
  process.exit(143)
}
