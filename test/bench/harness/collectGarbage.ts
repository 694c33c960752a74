/**
 * Loaded into a measured process with `--expose-gc --import`: SIGUSR2 collects all garbage, so that heap figures before and after
 * a soak can be compared. Changes nothing else.
 */
process.on('SIGUSR2', () => {
  for (let pass = 0; pass < 3; pass += 1) globalThis.gc?.()
})
