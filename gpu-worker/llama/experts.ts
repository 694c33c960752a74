/**
 * The experts of one llama.cpp context: its loaded adapters by name, and which one is attached. Owns the adapters.
 */
import assert from 'node:assert/strict'
import type { ExpertPort } from '../expertPort.ts'
import { AdapterShelf, type NativeAdapter } from './adapters.ts'
import type { NativeContext } from './nativeContext.ts'
import type { NativeModel } from './nativeModel.ts'

export class LlamaExperts implements ExpertPort, Disposable {
  readonly loaded: ReadonlyMap<string, NativeAdapter>
  readonly #adapters = new Map<string, NativeAdapter>()
  readonly #context: NativeContext
  readonly #shelf: AdapterShelf
  #disposed = false

  constructor(model: NativeModel, context: NativeContext) {
    this.loaded = this.#adapters
    this.#context = context
    this.#shelf = new AdapterShelf(model)
  }

  get attached(): string | null {
    return this.#context.adapter?.name ?? null
  }

  async load(name: string, path: string): Promise<NativeAdapter> {
    assert(!this.#disposed, 'the runner is disposed')
    const known = this.#adapters.get(name)
    if (known !== undefined) return known
    const adapter = await this.#shelf.load(name, path)
    const meanwhile = this.#adapters.get(name)
    if (meanwhile === undefined && !this.#disposed) this.#adapters.set(name, adapter)
    else adapter[Symbol.dispose]()
    return meanwhile ?? adapter
  }

  unload(name: string): void {
    assert.notEqual(this.attached, name, `expert ${name} is attached`)
    this.#adapters.get(name)?.[Symbol.dispose]()
    this.#adapters.delete(name)
  }

  attach(name: string | null): void {
    const adapter = name === null ? null : this.#adapters.get(name)
    assert(adapter !== undefined, `expert ${name} is not loaded`)
    this.#context.attach(adapter)
  }

  /** Before the context: what is attached is freed with it. */
  [Symbol.dispose](): void {
    this.#disposed = true
    for (const adapter of this.#adapters.values()) adapter[Symbol.dispose]()
    this.#adapters.clear()
  }
}
