import { expect, test } from 'vitest'
import { modelRecord } from '../testing/fakeWorker.ts'
import { samplingOf } from './sampling.ts'

const own = { maxTokens: null, maxTokensParam: 'max_tokens', logprobs: null, seed: 7 }
const chosen = { temperature: 0.2, topP: 0.9, topK: 40 }

test('a request that says nothing gets what its deployment chose, and OpenAI’s defaults for the rest', () => {
  const model = { ...modelRecord(), sampling: chosen }
  expect(samplingOf({ model: 'smol' }, { ...own, model })).toMatchObject({ ...chosen, minP: 0, repetitionPenalty: 1 })
  expect(samplingOf({ model: 'smol' }, { ...own, model: modelRecord() })).toMatchObject({ temperature: 1, topP: 1 })
})

test('what a request says goes before what its deployment chose, 0 and "off" included', () => {
  const model = { ...modelRecord(), sampling: chosen }
  const said = samplingOf({ model: 'smol', temperature: 0, top_p: 1, top_k: -1 }, { ...own, model })
  expect(said).toMatchObject({ temperature: 0, topP: 1, topK: 0 })
})
