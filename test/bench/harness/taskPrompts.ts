/**
 * Prompts by what their answers have in common with them: talk repeats nothing, a summary some of it, an edit or a copy nearly all.
 *
 * Pure functions of their seed, different for every seed, so that nothing learned from one prompt answers another. Texts are made of
 * whole sentences with drawn names, places and numbers: real English with a real text's share of repetition, and nobody's property.
 */
import { question } from './prompts.ts'
import { between, pick, seeded } from './random.ts'

export const tasks = ['chat', 'summarise', 'code-edit', 'copy'] as const
export type Task = (typeof tasks)[number]

export function taskPrompt(task: Task, seed: number): string {
  switch (task) {
    case 'chat':
      return question(seed)
    case 'summarise':
      return `Summarise this report in three sentences, keeping names and numbers:\n\n${reportText(seed, 9)}`
    case 'code-edit':
      return codeEdit(seed)
    case 'copy':
      return `Copy this text word for word, changing nothing:\n\n${reportText(seed, 6)}`
    default:
      return task satisfies never
  }
}

type Random = () => number
const people = 'Maria Oduya,Jonas Weber,Aiko Tanaka,Priya Raman,Lars Holm,Elena Rossi,Samuel Mensah,Ines Duarte'.split(
  ',',
)
const places = 'Bergen,Accra,Porto,Kyoto,Leipzig,Chennai,Verona,Tampere'.split(',')
const things = 'bridge,library,harbour,orchard,railway,school,market,reservoir'.split(',')
const months = 'January,March,April,June,August,September,October,December'.split(',')

const sentences: readonly ((random: Random, hero: string, thing: string, place: string) => string)[] = [
  (r, hero, thing, place) =>
    `In ${pick(r, months)} ${between(r, 1950, 2020)}, ${hero} began to plan the ${thing} of ${place}.`,
  (r, _hero, thing) =>
    `The ${thing} cost ${between(r, 12, 980)} thousand euros, which was ${between(r, 3, 40)} percent more than expected.`,
  (r, hero, thing) => `${hero} visited the ${thing} ${between(r, 2, 30)} times and wrote down what the workers said.`,
  (r, _hero, thing, place) => `Most people in ${place} live within ${between(r, 2, 19)} kilometres of the ${thing}.`,
  (r, hero) => `A letter from ${pick(r, people)} to ${hero} names ${between(r, 3, 12)} reasons for the delay.`,
  (r, _hero, thing, place) =>
    `When the river rose by ${between(r, 2, 9)} metres, the ${thing} of ${place} was closed for ${between(r, 4, 60)} days.`,
  (r, hero, thing) => `Later ${hero} said that the ${thing} had changed more than ${between(r, 100, 900)} families.`,
  (r, _hero, thing, place) =>
    `Today the ${thing} is kept by ${between(r, 5, 80)} volunteers from ${place} and ${pick(r, places)}.`,
  (r, hero, _thing, place) =>
    `${hero} left ${place} in ${pick(r, months)} and returned after ${between(r, 2, 15)} years.`,
  (r, _hero, thing) => `Each year about ${between(r, 10, 400)} thousand visitors come to see the ${thing}.`,
]

/** `count` sentences about one person, one place and one thing. */
export function reportText(seed: number, count: number): string {
  const random = seeded(seed)
  const hero = pick(random, people)
  const thing = pick(random, things)
  const place = pick(random, places)
  const left = [...sentences]
  const chosen = Array.from({ length: Math.min(count, sentences.length) }, () => {
    const [write] = left.splice(between(random, 0, left.length - 1), 1)
    return write?.(random, hero, thing, place) ?? ''
  })
  return chosen.join(' ')
}

const nouns = 'order,invoice,ticket,parcel,account,booking,sensor,recipe'.split(',')
const fields = 'price,weight,count,length,score,amount,delay,height'.split(',')

function codeEdit(seed: number): string {
  const random = seeded(seed)
  const noun = pick(random, nouns)
  const field = pick(random, fields)
  const limit = between(random, 10, 990)
  const code = [
    `function sum_${field}(${noun}s) {`,
    '  let total = 0',
    `  for (const ${noun} of ${noun}s) {`,
    `    if (${noun}.${field} > ${limit}) continue`,
    `    total += ${noun}.${field} * ${between(random, 2, 9)}`,
    '  }',
    '  return total',
    '}',
    '',
    `function largest_${field}(${noun}s) {`,
    `  let largest = ${noun}s[0].${field}`,
    `  for (const ${noun} of ${noun}s) {`,
    `    if (${noun}.${field} > largest) largest = ${noun}.${field}`,
    '  }',
    '  return largest',
    '}',
  ]
  return `Rename the variable total to result in this code and print all of it again:\n\n\`\`\`js\n${code.join('\n')}\n\`\`\``
}
