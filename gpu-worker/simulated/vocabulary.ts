/**
 * The vocabulary of the simulated engine: 256 byte tokens, some words with their leading space, and ChatML's control tokens.
 *
 * Small on purpose, so that sampling costs next to nothing and what surrounds the engine can be measured alone. Every text
 * can be tokenised (bytes reach everything) and comes back unchanged, and characters outside ASCII are several tokens,
 * so that whoever joins pieces meets split characters.
 */
import { Buffer } from 'node:buffer'

const wordList =
  'the of and to in is that it was for on are as with his they at be this have from or one had by word but not what all were ' +
  'we when your can said there use an each which she do how their if will up other about out many then them these so some her ' +
  'would make like him into time has look two more write go see number no way could people my than first water been call who ' +
  'oil its now find long down day did get come made may part over new sound take only little work know place year live me back ' +
  'give most very after thing our just name good end'

export const firstWord = 256
const words = wordList.split(' ').map((word) => ` ${word}`)
export const wordCount = words.length

const controlTexts = ['<|begin|>', '<|end|>', '<|im_start|>', '<|im_end|>'] as const
const firstControl = firstWord + wordCount
export const vocabularySize = firstControl + controlTexts.length

export const tokens = {
  begin: firstControl,
  end: firstControl + 1,
  messageStart: firstControl + 2,
  messageEnd: firstControl + 3,
  comma: 0x2c,
  period: 0x2e,
} as const

export const endOfGeneration: readonly number[] = [tokens.end, tokens.messageEnd]

const tokenOfWord = new Map(words.map((word, i) => [word, firstWord + i]))
const tokenOfControl = new Map<string, number>(controlTexts.map((text, i) => [text, firstControl + i]))
const noBytes = new Uint8Array(0)
const pieces: readonly Uint8Array[] = Array.from({ length: vocabularySize }, (_, token) => {
  if (token < firstWord) return Uint8Array.of(token)
  return token < firstControl ? Buffer.from(words[token - firstWord] ?? '', 'utf8') : noBytes
})

/** ChatML, as most small models have it. */
export const chatTemplate =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"

export function wordToken(text: string): number | undefined {
  return tokenOfWord.get(text)
}

export function pieceOf(token: number): Uint8Array {
  return pieces[token] ?? noBytes
}

export function controlText(token: number): string {
  return controlTexts[token - firstControl] ?? Buffer.from(pieceOf(token)).toString('utf8')
}

export function tokenize(text: string, options: { parseSpecial: boolean }): number[] {
  const found: number[] = []
  if (!options.parseSpecial) {
    pushPlain(found, text)
    return found
  }
  // With a capture group `split` also returns the separators, at the odd places.
  for (const part of text.split(/(<\|(?:begin|end|im_start|im_end)\|>)/)) {
    const control = tokenOfControl.get(part)
    if (control === undefined) pushPlain(found, part)
    else found.push(control)
  }
  return found
}

function pushPlain(found: number[], text: string): void {
  let done = 0
  for (const match of text.matchAll(/ [a-z]+/g)) {
    const token = tokenOfWord.get(match[0])
    if (token === undefined) continue
    pushBytes(found, text.slice(done, match.index))
    found.push(token)
    done = match.index + match[0].length
  }
  pushBytes(found, text.slice(done))
}

function pushBytes(found: number[], text: string): void {
  if (text === '') return
  for (const byte of Buffer.from(text, 'utf8')) found.push(byte)
}
