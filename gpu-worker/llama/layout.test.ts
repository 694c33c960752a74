import { expect, test } from 'vitest'
import { checkDefaults, layoutOf } from './layout.ts'

test('a release whose layout is not known is refused, naming it and those that are', () => {
  expect(() => layoutOf('v9.9.9')).toThrow(/v9\.9\.9 is installed, but struct layouts are known only for v0\.5\.0/)
})

test('defaults other than the release has mean another layout', () => {
  const layout = layoutOf('v0.5.0')
  expect(() => checkDefaults(layout, { model: { n_gpu_layers: 7 }, context: {} })).toThrow(/n_gpu_layers is 7, not -1/)
})
