/** NATS wildcards: `*` is exactly one token, a last `>` is one or more. */
export function subjectMatches(pattern: string, subject: string): boolean {
  if (pattern === subject) return true
  const wanted = pattern.split('.')
  const given = subject.split('.')
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return given.length > index
    if (given.length <= index || (token !== '*' && token !== given[index])) return false
  }
  return wanted.length === given.length
}
