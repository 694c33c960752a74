/**
 * Questions with one right answer each, of kinds that models of a few hundred million weights sometimes know: what a cascade is measured
 * on. The same seed gives the same questions. Each has few-shot examples of its own kind, because a base model continues what it sees.
 */
import { createRandom, type Random } from '../../simulate/random.ts'
import {
  animals,
  capitals,
  continents,
  days,
  languages,
  opposites,
  pasts,
  plurals,
  symbols,
  words,
} from './questionTables.ts'

export interface CheckableQuestion {
  readonly kind: string
  readonly question: string
  readonly expected: string
}

interface Kind {
  readonly name: string
  /** Two solved ones that stand before the question. */
  readonly shots: readonly (readonly [question: string, answer: string])[]
  readonly draw: (random: Random) => readonly [question: string, answer: string]
}

const table = (entries: Readonly<Record<string, string>>, ask: (key: string) => string) => (random: Random) => {
  const [key, value] = random.pick(Object.entries(entries))
  return [ask(key), value] as const
}

const kinds: readonly Kind[] = [
  {
    name: 'addition',
    shots: [
      ['What is 2 + 7?', '9'],
      ['What is 10 + 5?', '15'],
    ],
    draw(random) {
      const [a, b] = [random.int(1, 20), random.int(1, 9)]
      return [`What is ${a} + ${b}?`, String(a + b)]
    },
  },
  {
    name: 'multiplication',
    shots: [
      ['What is 3 times 4?', '12'],
      ['What is 5 times 6?', '30'],
    ],
    draw(random) {
      const [a, b] = [random.int(1, 10), random.int(2, 10)]
      return [`What is ${a} times ${b}?`, String(a * b)]
    },
  },
  {
    name: 'comparison',
    shots: [
      ['Which number is larger, 14 or 9?', '14'],
      ['Which number is larger, 25 or 71?', '71'],
    ],
    draw(random) {
      const a = random.int(10, 999)
      const b = a + random.int(1, 60) * (random.chance(0.5) ? 1 : -1)
      return [`Which number is larger, ${a} or ${b}?`, String(Math.max(a, b))]
    },
  },
  {
    name: 'day',
    shots: [
      ['Which day comes after Monday?', 'Tuesday'],
      ['Which day comes two days after Friday?', 'Sunday'],
    ],
    draw(random) {
      const [at, ahead] = [random.int(0, 6), random.int(1, 3)]
      const far = ['', '', 'two days ', 'three days '][ahead] ?? ''
      return [`Which day comes ${far}after ${days[at]}?`, days[(at + ahead) % 7] ?? '']
    },
  },
  {
    name: 'first letter',
    shots: [
      ['What is the first letter of the word "house"?', 'h'],
      ['What is the first letter of the word "dog"?', 'd'],
    ],
    draw(random) {
      const word = random.pick(words)
      return [`What is the first letter of the word "${word}"?`, word.at(0) ?? '']
    },
  },
  {
    name: 'capital',
    shots: [
      ['What is the capital of the United Kingdom?', 'London'],
      ['What is the capital of the Netherlands?', 'Amsterdam'],
    ],
    draw: table(capitals, (country) => `What is the capital of ${country}?`),
  },
  {
    name: 'continent',
    shots: [
      ['On which continent is Italy?', 'Europe'],
      ['On which continent is Vietnam?', 'Asia'],
    ],
    draw: table(continents, (country) => `On which continent is ${country}?`),
  },
  {
    name: 'language',
    shots: [
      ['Which language do most people speak in England?', 'English'],
      ['Which language do most people speak in Spain?', 'Spanish'],
    ],
    draw: table(languages, (country) => `Which language do most people speak in ${country}?`),
  },
  {
    name: 'symbol',
    shots: [
      ['What is the chemical symbol of oxygen?', 'O'],
      ['What is the chemical symbol of iron?', 'Fe'],
    ],
    draw: table(symbols, (element) => `What is the chemical symbol of ${element}?`),
  },
  {
    name: 'animal',
    shots: [
      ['Is a dog a mammal, a bird, a fish or an insect?', 'mammal'],
      ['Is a robin a mammal, a bird, a fish or an insect?', 'bird'],
    ],
    draw: table(animals, (animal) => `Is a ${animal} a mammal, a bird, a fish or an insect?`),
  },
  {
    name: 'opposite',
    shots: [
      ['What is the opposite of "good"?', 'bad'],
      ['What is the opposite of "up"?', 'down'],
    ],
    draw: table(opposites, (word) => `What is the opposite of "${word}"?`),
  },
  {
    name: 'past tense',
    shots: [
      ['What is the past tense of "walk"?', 'walked'],
      ['What is the past tense of "make"?', 'made'],
    ],
    draw: table(pasts, (verb) => `What is the past tense of "${verb}"?`),
  },
  {
    name: 'plural',
    shots: [
      ['What is the plural of "book"?', 'books'],
      ['What is the plural of "half"?', 'halves'],
    ],
    draw: table(plurals, (noun) => `What is the plural of "${noun}"?`),
  },
]

/** Kinds in turn, so that every beginning of the list has about as many of each; none twice. */
export function checkableQuestions(count: number, seed: number): CheckableQuestion[] {
  const random = createRandom(seed)
  const seen = new Set<string>()
  const questions: CheckableQuestion[] = []
  // Small tables run out: a kind that gives nothing new is passed over.
  for (let turn = 0; questions.length < count && turn < 50 * count; turn += 1) {
    const kind = kinds[turn % kinds.length]
    if (kind === undefined) break
    const [question, expected] = kind.draw(random)
    if (seen.has(question)) continue
    seen.add(question)
    questions.push({ kind: kind.name, question, expected })
  }
  return questions
}

/** What is continued: two solved questions of the kind, then this one. */
export function fewShotPrompt({ kind, question }: CheckableQuestion): string {
  const shots = kinds.find(({ name }) => name === kind)?.shots ?? []
  return [
    ...shots.map(([asked, answer]) => `Question: ${asked}\nAnswer: ${answer}\n`),
    `Question: ${question}\nAnswer:`,
  ].join('\n')
}

/** The first line is the answer; what comes after it begins another question. */
export const answerIn = (written: string): string => (written.trimStart().split('\n')[0] ?? '').trim()

/** As people would say so: case, final marks and what encloses a word do not matter. */
export function isRight(answer: string, expected: string): boolean {
  return plain(answer) === plain(expected)
}

const plain = (text: string) =>
  text
    .toLowerCase()
    .replaceAll(/["'“”‘’]/g, '')
    .replace(/[.!,;]+$/, '')
    .replace(/^(the|a|an) /, '')
    .trim()
