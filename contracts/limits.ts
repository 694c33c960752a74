/**
 * Every bound of the system, with its unit in its name and its reason beside it.
 *
 * A bound that an operator may want to change is only the default here; the setting's name stands in the comment.
 */
import { routeLimits } from './routeLimits.ts'

const kib = 1024
const mib = 1024 * kib

export const limits = {
  http: {
    /** Bodies above this are refused with 413: a 128k-token prompt is about 512 KiB of text, base64 images are out of scope. */
    bodyBytesMax: 1 * mib,
    /** Node's own default; more than any honest client sends. */
    headerBytesMax: 16 * kib,
    /** Slowloris bound: headers must be complete after this. */
    headersTimeoutMs: 10_000,
    /** The whole request must have arrived after this. */
    requestTimeoutMs: 30_000,
    /** Keep-alive connections without a request are closed after this; longer than usual load balancers' 60 s. */
    idleTimeoutMs: 65_000,
    /** Sockets over this are refused: each costs about 20 KiB. */
    connectionsMax: 10_000,
    /** Nesting above this is refused before any schema sees it: recursive code would exhaust the stack. */
    jsonDepthMax: 64,
    /** Fields of a body, unknown ones included: 60,000 of them would hold the event loop for 100 ms in the schema. */
    jsonFieldsMax: 256,
    /** Bytes waiting in one slow reader's socket before its deltas are held back … */
    slowReaderBytesMax: 64 * kib,
    /** … and for how long a reader may stall before its request is cancelled. */
    slowReaderStallMs: 30_000,
    /** Text held back for one slow reader (joined into one delta); a reader further behind than this is cut off. */
    slowReaderHeldBytesMax: 256 * kib,
    /** What is read and thrown away after a refused body, so that the client sees the answer; then the connection is cut. */
    discardBytesMax: 16 * mib,
  },
  request: {
    messagesMax: 2_048,
    choicesMax: 8,
    stopsMax: 16,
    stopCharactersMax: 256,
    logitBiasMax: 1_024,
    topLogprobsMax: 20,
    /** JSON schemas deeper than this are refused before they reach native code (a 10,000-deep one kills llama-server). */
    schemaDepthMax: 32,
    schemaBytesMax: 64 * kib,
    /** A grammar bigger than this would take seconds to parse. */
    grammarBytesMax: 256 * kib,
    embeddingInputsMax: 256,
    /** Inputs of one dispatch: their vectors travel back in one event. */
    embeddingInputsPerDispatchMax: 16,
    /** Prompts of one /v1/completions request; each is a dispatch of its own. */
    promptsMax: 16,
    /** A prompt of more characters per context token cannot fit, whatever the tokenizer; refused before anybody tokenises it. */
    charactersPerTokenMax: 32,
    /** Of a text that goes along because the answer may repeat it: longer than nearly every answer, and small beside a prompt. */
    hintCharactersMax: 32_768,
    /** `maxTokens` when the client names none: the rest of the context, but never more than this. */
    tokensDefault: 4_096,
    /** A request that has had no first token after this is expired; `x-paceline-deadline-ms` shortens it. */
    deadlineMsDefault: 120_000,
    deadlineMsMax: 600_000,
    /** Whole generation, first byte to last. */
    durationMsMax: 3_600_000,
  },
  queue: {
    /** Waiting requests per deployment (router setting `queueRequestsMax`). */
    requestsMax: 512,
    /** Waiting bytes per deployment, so that a few huge prompts cannot take the memory of many small ones. */
    bytesMax: 64 * mib,
    /** While requests wait, routers tell each other so often whose they are … */
    tenantsNewsMs: 100,
    /** … and news older than this is no reason to let anybody wait. */
    tenantsNewsAgeMsMax: 500,
    /** Tenants of a deployment in one message; more are fair within each router only. */
    sharedTenantsMax: 64,
    /** A tenant goes on although another one with less waits at another router, until it is so many tokens (per weight) ahead … */
    leadTokensMax: 512,
    /** … and it lets that one go first for so long: where no request is sent meanwhile, that router cannot send. */
    yieldMsMax: 300,
    /** Then its news counts for nothing for this long. */
    yieldPauseMs: 5_000,
    /** Tenants with state in the fair queue; the least recently seen is forgotten first. */
    tenantsMax: 10_000,
    /** What `Retry-After` says when nothing better is known. */
    retryAfterMsDefault: 1_000,
    /** A request that was already running waits this long for a worker to come (back) when its deployment has none at all. */
    noWorkerWaitMs: 10_000,
    /** A request for a deployment that scales from zero is held this long at most; its own deadline may end it sooner. */
    holdMsMax: 600_000,
    /** What `Retry-After` says where no worker was up in time: the one that is being started needs a while yet. */
    heldRetryAfterMs: 5_000,
    /** Steps of the histogram of waits that routers report; each is a quarter of a doubling, so this reaches 18 hours. */
    waitStepsMax: 104,
  },
  router: {
    /** One timer looks after the deadlines of all requests; so this is how late one may be noticed. */
    sweepIntervalMs: 50,
    reportIntervalMs: 1_000,
    /** A held request is reported at once, but not more often than this. */
    heldReportMs: 50,
    /** Events that come behind a gap make the router ask again for what is missing, at most this often. */
    askAgainMs: 200,
    /** Dispatches that were given up but not yet ended by their worker are remembered (and cancelled again) this long. */
    abandonedMsMax: 60_000,
    /** A worker that refused for lack of room gets nothing new from this router for at most this long. */
    pauseMsMax: 1_000,
    /** Prefixes of a prompt that was sent which count as held by its worker: the shortest and the longest ones. */
    expectedPrefixesMax: 16,
    /** An answer that is held back to be judged, log-probabilities counted as text; far more than a context holds of honest text. */
    innerAnswerCharactersMax: 8 * mib,
    /** Prompts of one inner request: a judge's two for each reference and answer. */
    innerWorksMax: 512,
  },
  nats: {
    /** No message is larger; a larger dispatch travels in parts (`contracts/parts.ts`). Well under the server's 1 MiB default. */
    payloadBytesMax: 512 * kib,
    /** Parts of unfinished messages a receiver holds, and for how long. */
    partsBytesMax: 16 * mib,
    partsAgeMsMax: 5_000,
    /** First wait of the reconnect back-off; doubled to the maximum, with jitter. */
    reconnectWaitMs: 100,
    reconnectWaitMsMax: 1_000,
    /** One attempt to connect, handshake included. */
    dialTimeoutMs: 2_000,
    /** A program that starts waits this long for its first connection, then ends with the reason. */
    connectTimeoutMs: 30_000,
    /** Client pings find a connection that died in silence (a cut cable) after interval × (out + 1). */
    pingIntervalMs: 1_000,
    pingsOutMax: 2,
    /** Answers of the server (KV writes) that take longer are given up; the writer tries again. */
    requestTimeoutMs: 5_000,
  },
  worker: {
    reportIntervalMs: 200,
    /** Silence after which a worker gets no new work … */
    suspectAfterMs: 1_000,
    /** … and after which what it had is lost. */
    goneAfterMs: 3_000,
    /** Registration in the KV bucket lives this long without a refresh. */
    registrationTtlMs: 10_000,
    registrationRefreshMs: 3_000,
    /** How often the memory that is left is looked at: a draft is closed before the system has to end the process. */
    memoryLookIntervalMs: 2_000,
    /** The word that work was accepted waits this long for the events of the first step. */
    acceptGatherMs: 2,
    /** A worker must accept or refuse a dispatch within this, or the router tries elsewhere. */
    acceptTimeoutMs: 1_000,
    /** No event for this long while a request runs: the router asks the worker where it is. */
    resendAfterMs: 1_000,
    /** Events of ended requests kept for a re-send: by age and by bytes. */
    outboxRetentionMs: 30_000,
    outboxBytesMax: 16 * mib,
    /** Dispatches, running and ended, of which events are kept. */
    outboxRequestsMax: 8_192,
    /** Cancels for dispatches not yet seen that are remembered, and for how long. */
    earlyCancelsMax: 1_024,
    earlyCancelAgeMsMax: 30_000,
    /** Saved sequence states; a linear search over more would be felt. */
    prefixCacheEntriesMax: 512,
    /** A saved or copied state shorter than this is not worth its time: computing it again is as fast. */
    prefixTokensMin: 64,
    /** Changes of state are reported at most this often: routers count what they send themselves, so only others' load is news. */
    reportCoalesceMs: 50,
    /** Requests a worker may hold beyond its slots; routers send to free slots, so this only absorbs races and `n` > 1. */
    waitingPerSlotMax: 1,
    /** Prefix digests in a report: newest first; 64 × 12 bytes keep a report below 2 KiB. */
    prefixDigestsMax: 64,
    /** Deltas of non-streaming requests are sent at most this often: nobody reads them until the end. */
    quietDeltaIntervalMs: 500,
  },
  speculation: {
    /** Sequences a proposer remembers at the same time; llama.cpp runs at most 256. */
    sequencesMax: 512,
    /** Tokens of a sequence whose places are remembered (about 60 bytes each); what is written later is matched, but not found again. */
    indexedTokensMax: 131_072,
    /** Tokens from which one tri-gram table is built: 8 bytes each while it is built. */
    calibrationTokensMax: 16_777_216,
    /** Successors kept for a bigram: the twelfth best is hardly ever what comes next. */
    successorsMax: 12,
    /** A tri-gram table on disk and in memory. */
    trigramTableBytesMax: 512 * mib,
    /** A file of `paceline calibrate acceptance`: a few numbers and how they were come by. */
    acceptanceHeadBytesMax: 64 * kib,
    /** A draft is opened only where this much stays free beside its weights and cells: its work space, and requests that come … */
    draftMemorySpareBytes: 256 * mib,
    /** … and closed where less than this is left: the system ends a process that asks for more than there is, requests and all. */
    draftMemoryFreeBytesMin: 128 * mib,
  },
  ...routeLimits,
  operator: {
    /** First wait after a failed reconcile or a crashed worker; doubled each time, with jitter, up to the maximum. */
    backOffMs: 500,
    backOffMsMax: 60_000,
    /** The same for a model file that no source gave. */
    fetchBackOffMs: 5_000,
    fetchBackOffMsMax: 300_000,
    /** A worker that was ready this long was well: its next crash starts counting from one again. */
    stableAfterMs: 60_000,
    /** Revisions of a deployment that are remembered with their spec, to go back to. */
    revisionsMax: 20,
    /** Revisions of which crashes in a row are counted at the same time: what is wanted and what it may go back to. */
    crashedRevisionsMax: 3,
    /** Crashes in a row that are called a crash loop; a new revision is then given up. */
    crashLoopAfter: 3,
    /** A worker that has said nothing at all this long after its start is stuck and is replaced … */
    startTimeoutMs: 120_000,
    /** … and so is one that falls silent this long while NATS is connected (a long native call must not look like it). */
    silenceMs: 30_000,
    /** A drained worker ends by itself at the end of its grace; it is killed this much later. */
    killMarginMs: 2_000,
    /** What routers report is gathered in samples of this length … */
    demandSampleMs: 5_000,
    /** … of which so many are kept: five minutes. */
    demandSamplesMax: 60,
    /** A router that fell silent may be cut off with its requests: for this long nothing is scaled down. */
    routerForgottenMs: 30_000,
    /** How often the autoscaler looks, beside the moments when a request is held. */
    scaleIntervalMs: 1_000,
    /** Everything is looked at again this often, changed or not. */
    resyncMs: 10_000,
    /** Editors write in several steps: a change is read this long after the last one … */
    fileSettleMs: 150,
    /** … and looked for this often where the system reports none. */
    filePollMs: 2_000,
    resourceFileBytesMax: 1 * mib,
    resourceFilesMax: 1_000,
    /** Reconciles that run at the same time. */
    reconcilesMax: 4,
    /** Last lines of a worker's output kept for the message of its `Degraded` condition. */
    workerLinesMax: 20,
    workerLineCharactersMax: 2_000,
    /** The workers' log is renamed to `.1` at this size; one old file is kept. */
    workerLogBytesMax: 16 * mib,
  },
  cluster: {
    /** One request to the API server, its answer included; a write is given up sooner where the lease ends sooner. */
    requestTimeoutMs: 10_000,
    /** Attempts of one request, and the waits between them. */
    attemptsMax: 4,
    retryMs: 100,
    retryMsMax: 2_000,
    /** `Retry-After` is believed up to this. */
    retryAfterMsMax: 10_000,
    /** Objects per page of a list. */
    pageObjectsMax: 500,
    /** A watch is ended by the server after this, drawn anew each time so that watches do not end together. */
    watchMsMin: 300_000,
    watchMsMax: 600_000,
    /** The server sends a bookmark about every minute; a watch silent for longer than two has died. */
    watchSilenceMs: 150_000,
    /** A line of a watch: an object may be 1.5 MiB in etcd, and somewhat more as JSON. */
    watchLineBytesMax: 8 * mib,
    /** Waits after a list or watch that failed, doubled with jitter. */
    watchRetryMs: 200,
    watchRetryMsMax: 30_000,
    /** A status is written at most this often when only figures or progress in it changed. */
    statusIntervalMs: 60_000,
    progressIntervalMs: 2_000,
    /** A new leader listens to the workers this long (five reports of each) before it decides anything. */
    settleMs: 1_000,
    /** Reconciles that run at the same time: they wait for the API server most of their time. */
    reconcilesMax: 16,
    /** Nothing needs to be looked at more often: what changes is told by watches and reports. */
    resyncMs: 30_000,
    /** Events per pair: this many at once, then one each interval; and what is held of them for all pairs. */
    eventsBurst: 20,
    eventIntervalMs: 30_000,
    eventSeriesMax: 2_048,
    /** An event said again within this is counted in a series instead of written anew. */
    eventSeriesMs: 360_000,
  },
  fetch: {
    /** No byte for this long: the connection is given up and the download resumed. */
    stallMs: 30_000,
    /** Broken connections in a row without a single new byte, per source. */
    attemptsMax: 4,
    retryWaitMs: 500,
    retryWaitMsMax: 8_000,
    /** Left free on the disk beside the file. */
    diskReserveBytes: 64 * mib,
    /** A lock whose owner has not touched it for this long is taken over. */
    lockStaleMs: 15_000,
    lockTouchMs: 3_000,
    lockPollMs: 250,
    progressIntervalMs: 250,
    /** `pip` may resolve, but must not hang. */
    pipTimeoutMs: 600_000,
  },
  drain: {
    /** How long a draining process waits for what runs (`terminationGracePeriodSeconds` must be longer). */
    graceMs: 30_000,
  },
  local: {
    /** A part of a local instance that ended by itself is started again after this, doubled each time … */
    restartWaitMs: 250,
    restartWaitMsMax: 8_000,
    /** … at most so often before one life of this length, then the instance gives up. */
    restartsMax: 8,
    stableAfterMs: 60_000,
    /** `up` stops waiting for the first answer after this; a slow download of the default model fits several times. */
    readyWaitMsMax: 1_800_000,
    /** … and after this once the operator calls every pair ready: then the router should have answered long ago. */
    probeWaitMsMax: 60_000,
    statusIntervalMs: 100,
    statusIntervalMsLater: 1_000,
    /** A part's log is renamed to `.1` at this size; one old file is kept. */
    logBytesMax: 32 * mib,
    logCheckMs: 30_000,
    /** After the drain's own grace a part that still runs is killed. */
    killAfterGraceMs: 5_000,
  },
  metrics: {
    /** Distinct client-derived label values (model, tenant); further ones are counted as `other`. */
    labelValuesMax: 1_000,
  },
  tracing: {
    /** Ended spans that wait for their receiver; further ones are dropped and counted. About 1 KiB each. */
    spansMax: 2_048,
    /** Spans of one message; the SDKs' own default. */
    batchSpansMax: 512,
    /** A batch that is not full is sent after this. */
    batchWaitMs: 5_000,
    /** The receiver must have answered after this. */
    timeoutMs: 10_000,
    /** Attempts to send a batch while the receiver is away or busy, and the first wait between two of them; doubled each time. */
    attemptsMax: 4,
    retryWaitMs: 1_000,
    /** A process that ends sends what is left in this time at most; the rest is counted as failed. The pod's margin is longer. */
    closeMsMax: 5_000,
    /** What is read of a receiver's answer. */
    answerBytesMax: 64 * kib,
    /** Candidates of a decision and texts that a span shows of it. */
    listedMax: 32,
  },
  logs: {
    /** Longest value of one field; a prompt is never logged at all. */
    fieldCharactersMax: 512,
  },
} as const
