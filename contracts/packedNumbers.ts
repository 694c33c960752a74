/** Lists of numbers inside JSON: little-endian 32-bit floats in base64, a third of what they take as text. */

export function unpackedNumbers(base64: string): Float64Array {
  const bytes = Buffer.from(base64, 'base64')
  return Float64Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i))
}

export function packedNumbers(numbers: ArrayLike<number>): string {
  const bytes = Buffer.alloc(4 * numbers.length)
  for (let i = 0; i < numbers.length; i += 1) bytes.writeFloatLE(numbers[i] ?? 0, 4 * i)
  return bytes.toString('base64')
}
