/** Who answers and who judges while a cascade is calibrated: a running router's deployments, or model files opened here. */
import type { TokenLogprob } from '#contracts/messages.ts'
import type { ModelDigest } from '#contracts/riskCalibration.ts'

export interface StepAnswer {
  readonly text: string
  /** The text of its first tokens, as an early judge sees it; null: it is judged as a whole. */
  readonly beginning: string | null
}

/** `simulated`: no file answers; null: nobody says which does. */
export interface ModelDigests {
  readonly step: ModelDigest | null
  readonly judge: ModelDigest | null
}

export interface StepModels extends AsyncDisposable {
  /** In the order of the questions. */
  answer(questions: readonly string[], onDone: (count: number) => void): Promise<StepAnswer[]>
  /** The judge's first token for each prompt; undefined: it gave none. */
  judge(prompts: readonly string[]): Promise<(TokenLogprob | undefined)[]>
  /** Files that answer and judge now, by their content. */
  digests(): Promise<ModelDigests>
  /** How many answers are worth judging at the same time. */
  readonly judgedAtOnce: number
}

export interface AnswerForm {
  readonly tokensMax: number
  readonly temperature: number | null
  readonly judgedTokens: number | null
  readonly seed: number
}
