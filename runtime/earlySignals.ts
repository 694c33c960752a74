/**
 * Ends the process on SIGTERM while it is still loading. Images load this before anything else (`NODE_OPTIONS=--import`); nothing
 * imports it, because it acts by being loaded.
 *
 * The first process of a container ignores every signal that it has no handler for. Loading takes half a second or more; a pod that
 * was deleted then would hear nothing and hold its place, and its pair's deletion, for the whole grace period.
 */
import { endEarly } from './endEarly.ts'

process.on('SIGTERM', endEarly)
