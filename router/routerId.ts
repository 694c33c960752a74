/** A router's name for one life of its process. */
import { RouterId } from '#contracts/ids.ts'

const idCharacters = 'abcdefghijklmnopqrstuvwxyz0123456789'

export function newRouterId(random: () => number): RouterId {
  const characters = Array.from({ length: 10 }, () => idCharacters[Math.floor(random() * idCharacters.length)])
  return RouterId.parse(`router-${characters.join('')}`)
}
