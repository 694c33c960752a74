/**
 * Is everything that is wanted there? The API server adds defaults and others may add fields; neither is a reason to write. Pure.
 */
export function covers(have: unknown, wanted: unknown): boolean {
  if (Array.isArray(wanted))
    return (
      Array.isArray(have) && have.length === wanted.length && wanted.every((item, index) => covers(have[index], item))
    )
  if (wanted !== null && typeof wanted === 'object') {
    if (have === null || typeof have !== 'object') return Object.keys(wanted).length === 0 && have === undefined
    const fields = new Map(Object.entries(have))
    return Object.entries(wanted).every(([key, value]) => value === undefined || covers(fields.get(key), value))
  }
  return have === wanted
}
