/**
 * Rendezvous hashing (highest random weight): which of several seats a key belongs to, without a table that anybody keeps.
 *
 * Every seat has a weight for every key, and the seat with the highest weight owns the key. So whoever knows the same seats gives the
 * same answer; a seat that comes or goes moves only the keys that it gets or had; and a key whose owner is full goes to its second
 * highest seat, which is another one for each key of that owner. On a ring all of them would fall on the same neighbour.
 */

/** A number of 32 bits for a text, for keys and seats alike: FNV-1a, then murmur3's finaliser, because FNV's high bits are poor. */
export function hash32(text: string): number {
  let hash = 0x811c_9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x0100_0193)
  return mixed(hash)
}

/** Evenly spread over 0 … 2³²-1, for seats as for keys. */
export function weightOf(key: number, seat: number): number {
  return mixed(key ^ Math.imul(seat, 0x9e37_79b1))
}

function mixed(value: number): number {
  let bits = value
  bits = Math.imul(bits ^ (bits >>> 16), 0x85eb_ca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2_ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
