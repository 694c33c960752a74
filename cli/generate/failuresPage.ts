/** Every failure code: what it means to whoever sees it. */
import { failureCodes } from '#contracts/failure.ts'
import { markdownTable, page } from './markdown.ts'

export function failuresPage(): string {
  return page(
    'Failures',
    'contracts/failure.ts',
    'Codes of everything that can go wrong outside our own code: in error bodies of the API, in conditions, in logs and on NATS. The message beside a code says what was tried and what to change.',
    [
      markdownTable(
        ['code', 'meaning'],
        Object.entries(failureCodes).map(([code, meaning]) => [`\`${code}\``, meaning]),
      ),
    ],
  )
}
