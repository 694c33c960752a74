/**
 * For tests and measurements: LoRA adapters with random weights, as GGUF files. They make the model talk differently, each adapter
 * in its own way, and never usefully.
 */
import { writeFile } from 'node:fs/promises'
import { seeded } from '#algorithms/seeded.ts'
import { ggufType, readGgufHeader } from './ggufHeader.ts'

export interface LoraOptions {
  readonly seed: number
  readonly rank?: number
  readonly alpha?: number
  /** How far the weights reach: 0 changes nothing. */
  readonly spread?: number
  /** Which weights of a layer are adapted; by default queries and values, as most adapters do. */
  readonly targets?: readonly string[]
  readonly settings?: Readonly<Record<string, string | number>>
}

/** For the model at `base`, whose shapes it takes. */
export async function writeLoraFile(path: string, base: string, options: LoraOptions): Promise<void> {
  const { seed, rank = 8, alpha = 16, spread = 0.05, targets = ['attn_q', 'attn_v'] } = options
  const { settings, tensors } = await readGgufHeader(base)
  const uniform = seeded(seed)
  const adapted = [...tensors].filter(([name]) => targets.some((target) => name.endsWith(`.${target}.weight`)))
  const written = adapted.flatMap(([name, [width = 0, height = 0]]) => [
    tensor(`${name}.lora_a`, [width, rank], () => 2 * uniform() - 1),
    tensor(`${name}.lora_b`, [rank, height], () => spread * (2 * uniform() - 1)),
  ])
  const own = {
    'general.type': 'adapter',
    'general.architecture': String(settings.get('general.architecture')?.value),
    'general.name': `random adapter ${seed}`,
    'adapter.type': 'lora',
    'adapter.lora.alpha': alpha,
    ...options.settings,
  }
  await writeFile(path, ggufBytes(own, written))
}

export interface Tensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly values: Float32Array
}

function tensor(name: string, shape: readonly number[], next: () => number): Tensor {
  const length = shape.reduce((product, side) => product * side, 1)
  return { name, shape, values: Float32Array.from({ length }, next) }
}

const alignment = 32

export function ggufBytes(settings: Readonly<Record<string, string | number>>, tensors: readonly Tensor[]): Uint8Array {
  const parts: Uint8Array[] = []
  let length = 0
  const put = (...bytes: Uint8Array[]) => {
    parts.push(...bytes)
    for (const each of bytes) length += each.byteLength
  }
  put(text('GGUF'), words(3), longs(tensors.length), longs(Object.keys(settings).length))
  for (const [key, value] of Object.entries(settings)) {
    put(named(key))
    if (typeof value === 'string') put(words(ggufType.text), named(value))
    else put(words(ggufType.float32), new Uint8Array(Float32Array.of(value).buffer))
  }
  let offset = 0
  for (const { name, shape, values } of tensors) {
    put(named(name), words(shape.length), longs(...shape), words(0), longs(offset))
    offset = aligned(offset + values.byteLength)
  }
  put(new Uint8Array(aligned(length) - length))
  for (const { values } of tensors) {
    const bytes = new Uint8Array(values.buffer)
    put(bytes, new Uint8Array(aligned(bytes.length) - bytes.length))
  }
  return Buffer.concat(parts)
}

const aligned = (bytes: number) => Math.ceil(bytes / alignment) * alignment
const text = (value: string) => new TextEncoder().encode(value)
const words = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer)
const longs = (...values: number[]) => new Uint8Array(BigUint64Array.from(values, BigInt).buffer)
const named = (value: string) => Buffer.concat([longs(text(value).length), text(value)])
