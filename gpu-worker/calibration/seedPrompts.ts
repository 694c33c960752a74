/**
 * Prompts from which a model writes the text of its own tri-gram table: everyday requests about everyday things, none taken from anywhere.
 *
 * Prompt number i is a pure function of (seed, i), and the first ones differ in both form and subject. What matters is not what is
 * asked but that answers come in the words and turns that this model uses for everything.
 */
import { uniform } from '../core/sampling/noise.ts'

const forms: readonly ((subject: string) => string)[] = [
  (subject) => `What is ${subject}?`,
  (subject) => `Explain ${subject} to a child.`,
  (subject) => `Write a short story that has to do with ${subject}.`,
  (subject) => `List five facts about ${subject}.`,
  (subject) => `Give me step by step instructions on how to start with ${subject}.`,
  (subject) => `What are the advantages and disadvantages of ${subject}?`,
  (subject) => `Write a friendly e-mail in which you ask a colleague about ${subject}.`,
  (subject) => `Compare ${subject} today with how it was a hundred years ago.`,
  (subject) => `Why do people care about ${subject}?`,
  (subject) => `Describe a day in the life of someone who works with ${subject}.`,
  (subject) => `Write a poem about ${subject}.`,
  (subject) => `How does ${subject} work?`,
  (subject) => `Summarise the most important things to know about ${subject} in three sentences.`,
  (subject) => `What mistakes do beginners make with ${subject}, and how can they be avoided?`,
  (subject) => `Write a dialogue between two friends about ${subject}.`,
  (subject) => `Write a small Python function that has something to do with ${subject}, and explain it.`,
  (subject) => `Make a table of three kinds of ${subject} with a short remark on each.`,
  (subject) => `Which questions should one ask an expert on ${subject}?`,
]

const subjects =
  `gardening,bread,the weather,bees,photography,old maps,public transport,sleep,chess,coffee,earthquakes,bicycles,languages,volcanoes,
swimming,music,computers,the moon,rain,recycling,painting,history,mathematics,friendship,cooking,trains,forests,budgets,electricity,
running,birds,libraries,bridges,winter,markets,memory,the ocean,wood,teaching,clocks,rivers,dancing,health insurance,travel,
vegetables,robots,houses,newspapers,silence,planets,sports,elections,glass,dogs,software tests,databases,deserts,colours,letters,
farming,medicine,cities,holidays,weights and measures,insects,theatre,sorting,networks,customer service,meetings,dreams,snow,tea`
    .split(',')
    .map((subject) => subject.trim())

/** `count` prompts; all differ while there are that many. */
export function seedPrompts(count: number, seed: number): string[] {
  const all = forms.length * subjects.length
  const start = Math.floor(uniform(seed, 0) * all)
  return Array.from({ length: count }, (_, i) => {
    // A step that has no divisor in common with `all` visits every pair once.
    const pair = (start + i * step) % all
    const form = forms[pair % forms.length]
    return form?.(subjects[Math.floor(pair / forms.length)] ?? '') ?? ''
  })
}

const step = 463
