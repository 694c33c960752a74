/**
 * Prompts that never repeat between rounds (a prefix cache must not answer for the engine) and are equal for both sides of a
 * comparison: a prompt is a pure function of its seed. The words are common ones, so that nearly each is one token in any
 * vocabulary; the true token count comes from the server's usage.
 */
import { pick, seeded } from './random.ts'

const words =
  `the of and to in is that it was for on are with as they be at one have this from by hot but some what there we can out other were
all your when up use word how said each she which do their time if will way about many then them would write like these her long make
thing see him two has look more day could go come did my sound no most number who over know water than call first people may down side
been now find any new work part take get place made live where after back little only round man year came show every good me give our
under name very through just form great think say help low line before turn cause same mean right boy old too does tell set three want
air well also play small end put home read hand port large spell add even land here must big high such follow act why ask men change`.split(
    /\s+/,
  )

const questions = [
  'Explain in a few paragraphs how a river shapes the land around it.',
  'Write a short story about a lighthouse keeper who finds a letter.',
  'Describe what happens inside a bakery early in the morning.',
  'Give advice to someone who wants to learn to play the piano.',
  'Tell me about the history of paper and how it is made.',
  'How do birds find their way over long distances?',
  'What should one look for when buying a used bicycle?',
  'Compare living in a small town with living in a large city.',
]

/** About `tokens` tokens of running words; different for every seed from the first word on. */
export function wordsOf(seed: number, tokens: number): string {
  const random = seeded(seed)
  return Array.from({ length: tokens }, () => pick(random, words)).join(' ')
}

/** A question of 40 to 60 tokens, as a person would type it. */
export function question(seed: number): string {
  const random = seeded(seed)
  return `Note ${wordsOf(seed ^ 0x5b_d1, 12)}. ${pick(random, questions)}`
}
