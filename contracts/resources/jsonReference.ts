/**
 * `$ref` within a JSON Schema: the same reading where a schema is let through and where an answer is judged by it. Imports nothing, because
 * the thread that judges is started anew whenever a check has hung.
 */

/** What `#` or `#/…` stands for; undefined: it leads nowhere. */
export function referredIn(root: unknown, reference: string): unknown {
  const [head, ...steps] = decoded(reference).split('/')
  if (head !== '#') return undefined
  return steps.reduce<unknown>((at, step) => {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~')
    return typeof at === 'object' && at !== null && Object.hasOwn(at, key) ? Reflect.get(at, key) : undefined
  }, root)
}

function decoded(reference: string): string {
  try {
    return decodeURIComponent(reference)
  } catch {
    return ''
  }
}
