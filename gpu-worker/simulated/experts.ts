/**
 * Experts of the simulated runner: each makes it talk in its own way. Any file name will do, and loading takes no time.
 *
 * Remembers under which expert the cells of each slot were computed, and asserts that no step goes on from another's: on llama.cpp
 * that would be a text that nobody asked for, and no error.
 */
import assert from 'node:assert/strict'
import type { BatchSpan, Slot } from '../modelRunner.ts'
import { AdapterRefused, type ExpertPort, type LoadedExpert } from '../expertPort.ts'
import { createLanguageModel, type LanguageModel, mix } from './languageModel.ts'

/** Of each adapter, whatever its file. */
export const simulatedAdapterBytes = 1 << 20

export class SimulatedExperts implements ExpertPort {
  readonly loaded = new Map<string, LoadedExpert>()
  readonly #seed: number
  readonly #models = new Map<string | null, LanguageModel>()
  /** What is not here has no cells, or such as were brought back from outside. */
  readonly #computedBy = new Map<Slot, string | null>()
  readonly #refused: readonly string[]
  #attached: string | null = null

  constructor(seed: number, refused: readonly string[] = []) {
    this.#seed = seed
    this.#refused = refused
  }

  get attached(): string | null {
    return this.#attached
  }

  /** What computes now. */
  get model(): LanguageModel {
    const known = this.#models.get(this.#attached)
    if (known !== undefined) return known
    const model = createLanguageModel(this.#attached === null ? this.#seed : mixName(this.#seed, this.#attached))
    this.#models.set(this.#attached, model)
    return model
  }

  load(name: string): Promise<LoadedExpert> {
    if (this.#refused.includes(name))
      return Promise.reject(new AdapterRefused('OtherBase', `the simulated engine was told to refuse ${name}`))
    const expert = this.loaded.get(name) ?? { bytes: simulatedAdapterBytes }
    this.loaded.set(name, expert)
    return Promise.resolve(expert)
  }

  unload(name: string): void {
    assert.notEqual(this.#attached, name, `expert ${name} is attached`)
    this.loaded.delete(name)
    this.#models.delete(name)
  }

  attach(name: string | null): void {
    assert(name === null || this.loaded.has(name), `expert ${name} is not loaded`)
    this.#attached = name
  }

  /** These tokens are about to be computed. */
  computing(spans: readonly BatchSpan[]): void {
    for (const { slot, position } of spans) {
      const before = this.#computedBy.get(slot)
      if (position > 0 && before !== undefined)
        assert.equal(before, this.#attached, `slot ${slot} holds cells of another expert`)
      this.#computedBy.set(slot, this.#attached)
    }
  }

  /** The slot's cells came from outside. */
  brought(slot: Slot): void {
    this.#computedBy.delete(slot)
  }
}

function mixName(seed: number, name: string): number {
  let hash = seed
  for (let i = 0; i < name.length; i++) hash = mix(hash, name.charCodeAt(i))
  return hash
}
