/**
 * The thread on which checks of answers run, because one may never end: one job after the other, each result told at once, so that those
 * before a check that hangs are not lost. `riskChecker.ts` starts it and ends it. What it imports must stay little: it is started anew
 * whenever a check has hung.
 */
import { parentPort } from 'node:worker_threads'
import { redacted, runCheck } from './core/riskChecks.ts'
import type { CheckJob, CheckReply } from './riskChecker.ts'

const port = parentPort
if (port === null) throw new Error('bug: not a thread')

const tell = (reply: CheckReply) => port.postMessage(reply)

port.on('message', ({ checks, texts, redactions }: CheckJob) => {
  for (const check of checks) tell({ kind: 'checked', result: runCheck(check, texts) })
  const [question = '', answer = ''] = [texts.question, texts.answer].map((text) => redacted(text, redactions))
  tell({ kind: 'done', texts: { question, answer } })
})
tell({ kind: 'ready' })
