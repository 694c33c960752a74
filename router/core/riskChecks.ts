/**
 * Checks that a route's author wrote or named: expressions, validators, JSON Schemas. Functions of question and answer alone, but of
 * unbounded time, because an expression can be made to backtrack for ever: they are run on a thread that can be ended (`riskChecker.ts`),
 * never on the router's own. Pure.
 */
import type { RiskTrafficLog } from '#contracts/resources/riskRoute.ts'
import type { RiskPolicy } from '#contracts/riskPolicy.ts'
import { lastNumber, valueOfSum } from './arithmetic.ts'
import { fitsSchema } from './jsonSchema.ts'

export interface Texts {
  readonly question: string
  readonly answer: string
}

type Source = RiskPolicy['sources'][number]

export type Check =
  | { readonly kind: 'expression'; readonly of: keyof Texts; readonly pattern: string; readonly ignoreCase: boolean }
  | { readonly kind: 'validator'; readonly of: keyof Texts; readonly check: NonNullable<Source['validator']>['check'] }
  | { readonly kind: 'jsonSchema'; readonly schema: Readonly<Record<string, unknown>> }

/** Where it holds, counted in characters from the text's beginning; -1: it does not; null: it says nothing of such texts. */
export type Checked = number | null

export function runCheck(check: Check, texts: Texts): Checked {
  switch (check.kind) {
    case 'expression':
      return texts[check.of].search(new RegExp(check.pattern, check.ignoreCase ? 'iu' : 'u'))
    case 'validator':
      return asPlace(validate(check.check, texts, texts[check.of]))
    case 'jsonSchema':
      return asPlace(isJsonThatFits(check.schema, texts.answer))
    default:
      return check satisfies never
  }
}

export type Redaction = RiskTrafficLog['redact'][number]

export function redacted(text: string, rules: readonly Redaction[]): string {
  return rules.reduce((left, rule) => left.replace(new RegExp(rule.pattern, 'gu'), () => rule.with), text)
}

const asPlace = (holds: boolean | null): Checked => (holds === null ? null : holds ? 0 : -1)

function validate(check: NonNullable<Source['validator']>['check'], texts: Texts, text: string): boolean | null {
  switch (check) {
    case 'json':
      return parsedJson(text) !== undefined
    case 'number':
      return /^[+-]?(?:\d+(?:\.\d+)?|\.\d+)$/.test(text.trim())
    case 'date':
      return isDate(text.trim())
    case 'url':
      return /^https?:\/\/\S+$/.test(text.trim()) && URL.canParse(text.trim())
    case 'complete':
      return /[.!?…。！？][)\]}"'”’`*]*$/.test(text.trimEnd())
    case 'arithmetic':
      return isValueOfSum(texts)
    default:
      return check satisfies never
  }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** 2026-02-29 has the form, and is none. */
function isDate(text: string): boolean {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return false
  const day = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text)
}

function isValueOfSum({ question, answer }: Texts): boolean | null {
  const value = valueOfSum(question)
  if (value === null) return null
  const said = lastNumber(answer)
  return said !== null && Math.abs(said - value) <= 1e-9 * Math.max(1, Math.abs(value))
}

function isJsonThatFits(schema: Readonly<Record<string, unknown>>, answer: string): boolean {
  const value = parsedJson(answer)
  return value !== undefined && fitsSchema(schema, value)
}
