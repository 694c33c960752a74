/**
 * LoRA adapters of a loaded model. A `NativeAdapter` owns its native handle, keeps its model alive, and is freed when it was disposed
 * and no context has it attached any more.
 *
 * Loading runs on another thread and may do so while a context decodes. llama.cpp keeps a set of the adapters of each model without a
 * lock, so loads and frees of one model never run at the same time: `AdapterShelf` takes care of that, and is the way to load one.
 */
import assert from 'node:assert/strict'
import { AdapterRefused } from '../expertPort.ts'
import { type GgufHeader, ggufType, readGgufHeader } from './ggufHeader.ts'
import { type Hold, Lifetime } from './hold.ts'
import { callAsync } from './nativeCall.ts'
import type { NativeModel } from './nativeModel.ts'
import type { AdapterHandle } from './symbols.ts'

export class NativeAdapter implements Disposable {
  readonly name: string
  /** Of its file; in memory it takes as much. */
  readonly bytes: number
  readonly #handle: AdapterHandle
  readonly #lifetime: Lifetime

  constructor(options: { name: string; bytes: number; handle: AdapterHandle; free: () => void }) {
    this.name = options.name
    this.bytes = options.bytes
    this.#handle = options.handle
    this.#lifetime = new Lifetime(options.free)
  }

  /** For contexts only; never leaves `llama/`. */
  get handle(): AdapterHandle {
    assert(!this.#lifetime.isOver, `adapter ${this.name} is disposed`)
    return this.#handle
  }

  hold(): Hold {
    return this.#lifetime.hold()
  }

  [Symbol.dispose](): void {
    this.#lifetime[Symbol.dispose]()
  }
}

/** Loads the adapters of one model, one after the other. */
export class AdapterShelf {
  readonly #model: NativeModel
  #turn: Promise<unknown> = Promise.resolve()

  constructor(model: NativeModel) {
    this.#model = model
  }

  /**
   * Throws `AdapterRefused` where the file is no LoRA adapter, or one for another base. An adapter that was trained on
   * another model of the very same shapes cannot be told apart; the resource pins both files for that reason.
   */
  load(name: string, path: string): Promise<NativeAdapter> {
    const turn = this.#turn.then(() => this.#load(name, path))
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  async #load(name: string, path: string): Promise<NativeAdapter> {
    const model = this.#model
    const header = await readGgufHeader(path)
    checkAdapter(header, { path, architecture: model.metadata('general.architecture') ?? '' })
    const { symbols, nativeLog } = model.library
    const parent = model.hold()
    nativeLog.takeErrors()
    const handle = await callAsync(symbols.adapterLoad, model.handle, path)
    if (handle === null) {
      parent.release()
      const reasons = nativeLog.takeErrors().join('; ') || 'no reason given'
      throw refusal(
        'OtherBase',
        path,
        `does not fit the base model ${model.metadata('general.name') ?? ''}: ${reasons}`,
      )
    }
    const free = () => {
      this.#turn = this.#turn.then(() => {
        symbols.adapterFree(handle)
        parent.release()
      })
    }
    return new NativeAdapter({ name, bytes: header.fileBytes, handle, free })
  }
}

function checkAdapter({ settings }: GgufHeader, base: { path: string; architecture: string }): void {
  const refuse = (problem: string, reason: AdapterRefused['reason'] = 'NoAdapter') => {
    throw refusal(reason, base.path, problem)
  }
  const shown = (key: string) => JSON.stringify(settings.get(key)?.value ?? null)
  const texts = ['general.type', 'adapter.type', 'general.architecture'] as const
  const [kind, adapterKind, architecture] = texts.map((key) => settings.get(key)?.value)
  if (kind !== 'adapter') refuse(`is no adapter: its general.type is ${shown('general.type')}`)
  if (adapterKind !== 'lora') refuse(`is no LoRA adapter: its adapter.type is ${shown('adapter.type')}`)
  if (architecture !== base.architecture)
    refuse(
      `is for another base, of architecture ${shown('general.architecture')} and not "${base.architecture}"`,
      'OtherBase',
    )
  const alpha = settings.get('adapter.lora.alpha')
  if (alpha !== undefined && alpha.type !== ggufType.float32)
    refuse(`is damaged: its adapter.lora.alpha is ${shown('adapter.lora.alpha')}, which is no float32`)
}

const refusal = (reason: AdapterRefused['reason'], path: string, problem: string) =>
  new AdapterRefused(reason, `the adapter ${path} ${problem}. Convert it for this base model, or correct its source`)
