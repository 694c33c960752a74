/** How long one search of the tri-gram table takes, and what it leaves for the garbage collector. */
import { GramIndex } from '../../../gpu-worker/core/speculation/proposers/gramIndex.ts'
import { Successors } from '../../../gpu-worker/core/speculation/proposers/successors.ts'
import { TrigramCounter } from '../../../gpu-worker/core/speculation/proposers/trigramCounter.ts'
import { trigramDefaults } from '../../../gpu-worker/core/speculation/proposers/trigramProposer.ts'
import { TrigramSearch } from '../../../gpu-worker/core/speculation/proposers/trigramSearch.ts'
import { readTrigramTable, type TrigramTable } from '../../../gpu-worker/core/speculation/proposers/trigramTable.ts'
import { between, seeded } from './random.ts'
import { quantile } from './statistics.ts'

export interface SearchTime {
  readonly name: string
  /** Mean number of nodes of the trees. */
  readonly nodes: number
  /** Microseconds, over all places. */
  readonly median: number
  readonly p99: number
  readonly bytes: number
}

/** A table in which every bigram has twelve successors: a search can have no more to do. */
export function widestSearch(options: { readonly rounds: number }): SearchTime {
  const random = seeded(2)
  const text = Array.from({ length: 400_000 }, () => between(random, 0, 63))
  const counter = new TrigramCounter({ vocabularySize: 64, tokenizer: '00'.repeat(32), sightingsMin: 1 })
  counter.add(text)
  const table = readTrigramTable(counter.build())
  return measureSearch('twelve successors everywhere', { table, text: text.slice(0, 4_000) }, options)
}

/**
 * A search is a function of its place, so the fastest of five is what it takes; on a machine with other work one in a hundred is
 * interrupted for longer than all of it.
 */
const repetitions = 5

/** Searches at places of a text that has shown all its bigrams. */
export function measureSearch(
  name: string,
  { table, text }: { readonly table: TrigramTable | null; readonly text: readonly number[] },
  { rounds }: { readonly rounds: number },
): SearchTime {
  const search = new TrigramSearch(new Successors(table, trigramDefaults.adaptive))
  const bigrams = new GramIndex(2)
  for (let end = 0; end + 1 < text.length; end++) bigrams.add(text, end)
  const sighted = { tokens: text, bigrams }
  const run = (i: number) => {
    const at = 1 + ((i * 37) % (text.length - 1))
    search.run({ sighted, before: text[at - 1] ?? 0, last: text[at] ?? 0, seed: 1, position: at })
  }
  for (let i = 0; i < rounds; i++) run(i)
  const micros = new Float64Array(rounds)
  let nodes = 0
  const heapBefore = process.memoryUsage().heapUsed
  for (let i = 0; i < rounds; i++) {
    let fastest = Number.POSITIVE_INFINITY
    for (let repetition = 0; repetition < repetitions; repetition++) {
      const startedAt = performance.now()
      run(i)
      fastest = Math.min(fastest, performance.now() - startedAt)
    }
    nodes += search.chosenCount
    micros[i] = fastest * 1_000
  }
  const bytes = Math.max(0, process.memoryUsage().heapUsed - heapBefore) / rounds / repetitions
  return {
    name,
    nodes: nodes / rounds,
    median: quantile([...micros], 0.5),
    p99: quantile([...micros], 0.99),
    bytes,
  }
}
