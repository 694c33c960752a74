/**
 * String formats that a grammar can hold, as regular expressions of the subset in `pattern.ts`.
 *
 * Each accepts only valid values of its format, if not always all of them. Formats that are not here (`uri`, `regex`, …) are
 * annotations, as the JSON schema standard has it, and restrict nothing.
 */
const date =
  '(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)'
const time = '(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])'
const byte = '(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?'
const word = '[A-Za-z0-9_+-]{1,20}'

const expressions: Record<string, string> = {
  date,
  time,
  'date-time': `${date}T${time}`,
  duration:
    'P(?:[0-9]{1,4}W|[0-9]{1,4}D(?:T[0-9]{1,4}H(?:[0-9]{1,4}M)?)?|[0-9]{1,4}Y(?:[0-9]{1,4}M(?:[0-9]{1,4}D)?)?|[0-9]{1,4}M(?:[0-9]{1,4}D)?|T(?:[0-9]{1,4}H(?:[0-9]{1,4}M(?:[0-9]{1,4}S)?)?|[0-9]{1,4}M(?:[0-9]{1,4}S)?|[0-9]{1,4}S))',
  uuid: '[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}',
  email: `${word}(?:\\.${word}){0,2}@${label}(?:\\.${label}){0,3}`,
  hostname: `${label}(?:\\.${label}){0,3}`,
  ipv4: `${byte}\\.${byte}\\.${byte}\\.${byte}`,
  ipv6: ipv6Expression(),
}

/** Undefined for a format that restricts nothing. */
export function formatExpression(format: string): string | undefined {
  const expression = Object.hasOwn(expressions, format) ? expressions[format] : undefined
  return expression === undefined ? undefined : `^(?:${expression})$`
}

/** Eight groups, or fewer around one `::`, without the mixed form that ends in an IPv4 address. */
function ipv6Expression(): string {
  const group = '[0-9A-Fa-f]{1,4}'
  const around = [1, 2, 3, 4, 5, 6].map((before) => `(?:${group}:){${before}}(?::${group}){1,${7 - before}}`)
  return [`(?:${group}:){7}${group}`, `(?:${group}:){1,7}:`, `:(?:(?::${group}){1,7}|:)`, ...around].join('|')
}
