/**
 * A model file: where it may come from and what it must contain. The content is the SHA-256; sources only say where to look, so
 * that a mirror, a cache or a moved repository never changes what is served.
 */
import * as z from 'zod'

/** Anything printable: the two judges of a pattern differ on what a dot leaves out. */
const rest = '[^\\x00-\\x1f\\x7f]+'

export const Source = z
  .string()
  .max(2048)
  .regex(
    new RegExp(
      `^(pypi://[\\w.-]+@[\\w.!+-]+/${rest}|hf://[\\w.-]+/[\\w.-]+/${rest}|s3://[\\w.-]+/${rest}|https?://${rest}|file:///${rest})$`,
    ),
    'must be hf://owner/repo/file, s3://bucket/key, https://…, file:///… or pypi://package@version/path',
  )
  .describe(
    'Where the file is: `hf://owner/repository/file`, `s3://bucket/key`, `https://…`, `file:///…` (a path on the machine or in the pod that fetches) or `pypi://package@version/path/in/wheel` (local platform only).',
  )
export type Source = z.infer<typeof Source>

export const Sha256 = z
  .string()
  .max(64)
  .regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits')
  .describe('SHA-256 of the file: what is served, whichever source it came from.')

export const ModelFile = z.strictObject({
  source: Source,
  mirrors: z.array(Source).max(8).default([]).describe('Tried in order after `source`; always the same content.'),
  sha256: Sha256,
})
export type ModelFile = z.infer<typeof ModelFile>
