/**
 * Text that quotes somebody, as it may stand in a status. Pure.
 *
 * A message that is too long makes a status that nobody can write, and half a character comes back as another one, so that it would be
 * written for ever.
 */
export function shortened(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text.toWellFormed()
  return `${text.slice(0, charactersMax - 1).toWellFormed()}…`
}
