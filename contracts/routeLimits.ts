/**
 * The bounds of routes that judge answers and of experts, of what they are calibrated with, and of what is kept for that. Part of `limits.ts`,
 * and written as its bounds are.
 */
const kib = 1024
const mib = 1024 * kib

export const routeLimits = {
  experts: {
    /** Waiting requests that a choice looks at: more would cost time and tell nothing that the next choice does not see again. */
    lookAheadRequestsMax: 4_096,
    /** Experts of one deployment. */
    expertsMax: 16,
    /** The same in a router, which looks for each placement anew, once for each worker with a free slot. */
    queueLookAheadMax: 256,
    /** The age guard: so long a request waits for its expert's turn, at most, while there is less work than the engine can do. */
    waitMsMax: 5_000,
    /** A turn is not broken off before this: changing experts and saving who gives way takes milliseconds. */
    turnMsMin: 250,
    /** After this nobody enters a turn while others have the longer queue. */
    turnMsMax: 2_000,
    /** A turn for whose end others wait who are late already is broken off after this: long answers must not hold them up for minutes. */
    lateTurnMsMax: 5_000,
    /** Adapters of one worker in memory, where nobody says otherwise. */
    residentBytesMax: 512 * mib,
    /** Text of a request that its gate reads, in characters: many times what makes the tokens that count. */
    gateCharactersMax: 8_192,
    /** A worker answers for the gate within this, or the request gets the model without an expert. */
    gateWaitMsMax: 50,
    /** Questions to gates under way in one router; more would only wait behind each other. */
    gateQuestionsMax: 1_024,
    /** Answers of gates that a router remembers, so that a conversation asks once. */
    gateAnswersMax: 16_384,
    /** How far ahead of other tenants that wait one tenant may be served in a router for the sake of its expert. */
    leadTokensMax: 4_096,
    /** A pre-gate's weights, on disk and in memory. */
    gateBytesMax: 64 * mib,
    /** Labelled prompts from which one pre-gate is trained. */
    gateExamplesMax: 1_000_000,
  },
  calibration: {
    /** References of one step: each costs two prompts per answer that is judged. */
    referencesMax: 32,
    /** Of a reference's question or answer: what judges of a few thousand tokens of context can compare. */
    textCharactersMax: 4_096,
    /** A file of references: those of seven steps fit into a route's record, which is one message. */
    referencesBytesMax: 56 * kib,
    /** A calibration without its references: a few numbers. */
    documentBytesMax: 16 * kib,
    /** Labelled answers from which one threshold is chosen. */
    labelsMax: 1_000_000,
    /** A line of labelled traffic. */
    lineBytesMax: 256 * kib,
    /** Kept answers that a router remembers by their request's id, so that a label can be told of them … */
    decisionsMax: 10_000,
    /** … and for how long: who labels later labels for the next calibration. */
    decisionsAgeMsMax: 3_600_000,
    /** An error rate that is just what is allowed is called broken once in so many labels. */
    falseAlarmLabels: 10_000,
    /** What labels say stands in the route's status this long after it was last looked at; an alarm at once. */
    labelStatusMs: 30_000,
    /** Error rates that routes promise of which the watch is kept ready: planning one takes up to 60 ms. */
    watchPlansMax: 64,
  },
  risk: {
    sourcesMax: 16,
    labelsMax: 16,
    patternCharactersMax: 1_024,
    redactionsMax: 16,
    /** Widest embedding that a harmonizer may read. */
    embeddingWidthMax: 8_192,
    /** A harmonizer's numbers: as base64 350 KB, which with its route fits into one message. */
    parametersMax: 65_536,
    /** A calibration: its parameters as base64, and a few numbers. */
    documentBytesMax: 384 * kib,
    /** Expressions, validators and schemas of one answer have so long together; one that takes longer abstains … */
    checkMs: 50,
    /** … and after so many times in a row it is not asked for a while, because each costs a thread … */
    lateChecksMax: 3,
    /** … of so long; then it is tried once more. */
    lateCheckRestMs: 60_000,
    /** A thread that has not begun a job after this never will. */
    checkStartMs: 10_000,
    /** Answers that wait for the thread that checks them; beyond it their checked sources abstain. */
    checksWaitingMax: 256,
    /** Of question and answer, what the sources and the embedding look at; the end counts. */
    textCharactersMax: 32_768,
  },
  traffic: {
    /** What a router keeps of one route to calibrate with; half of it is thrown away at once when it is full. */
    bytesMax: 32 * mib,
    /** No example is older. */
    ageMsMax: 7 * 86_400_000,
    /** Of all routes together; the route that was quiet the longest goes first. */
    allBytesMax: 256 * mib,
    /** One example; a longer one is kept without its texts. */
    exampleBytesMax: 64 * kib,
    /** Examples that wait for the disk; those beyond it are dropped. */
    waitingMax: 256,
    /** A router that leaves waits so long for the disk. */
    flushMs: 2_000,
  },
} as const
