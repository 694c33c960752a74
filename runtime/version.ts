/** The version of this checkout, from package.json: shown by `/version`, registrations and `paceline status`. */
import manifest from '../package.json' with { type: 'json' }

export const version: string = manifest.version
