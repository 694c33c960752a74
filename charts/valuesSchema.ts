/** `values.schema.json`: JSON Schema (draft 7, what Helm reads) of `values.ts`. */
import * as z from 'zod'
import { ChartValues } from './values.ts'

export function valuesSchema(): string {
  const schema = z.toJSONSchema(ChartValues, { target: 'draft-7', io: 'input' })
  return `${JSON.stringify({ ...schema, title: 'Values of the chart paceline' }, null, 2)}\n`
}
