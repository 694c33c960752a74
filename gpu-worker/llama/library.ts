/**
 * Loads llama.cpp once per process and says what it found: which backend computes, on which device, which release.
 *
 * Native libraries cannot be unloaded safely, so what is loaded stays. The struct layout is proved (`layout.ts`) before the
 * first call that passes a struct in.
 */
import { cpus } from 'node:os'
import koffi, { type LibraryHandle } from 'koffi'
import { Failure } from '#contracts/failure.ts'
import type { Log } from '#runtime/log.ts'
import { checkDefaults, deviceType, type Layout, layoutOf } from './layout.ts'
import { createNativeLog, type NativeLog } from './nativeLog.ts'
import { type Backend, findPackages, type Host, type LibraryPackage } from './packages.ts'
import {
  type Address,
  type BackendSymbols,
  bindBackends,
  bindLlama,
  bindVersion,
  type DeviceHandle,
  type Symbols,
} from './symbols.ts'
import { findThreadPools, type ThreadPools } from './threadPool.ts'

export interface LlamaLibrary {
  readonly symbols: Symbols
  readonly layout: Layout
  readonly backend: Backend
  /** Processor, and the GPU where one computes. */
  readonly device: string
  /** Name and version of library and package. */
  readonly description: string
  /** A C function of `int (*)(const char*)` that is 0 while the byte it is given is 0: ends a decode without calling into JavaScript. */
  readonly isByteSet: Address
  readonly nativeLog: NativeLog
  /** null where the CPU backend has none. */
  readonly threadPools: ThreadPools | null
}

let loaded: { wanted: 'auto' | Backend; library: LlamaLibrary } | undefined

export function loadLibrary(options: { backend: 'auto' | Backend; host: Host; log: Log }): LlamaLibrary {
  if (loaded !== undefined) {
    if (loaded.wanted === options.backend || loaded.library.backend === options.backend) return loaded.library
    throw new Failure(
      'native-fault',
      `this process has loaded llama.cpp for ${loaded.wanted} and cannot load it for ${options.backend} as well`,
    )
  }
  const library = load(options)
  loaded = { wanted: options.backend, library }
  return library
}

function load(options: { backend: 'auto' | Backend; host: Host; log: Log }): LlamaLibrary {
  const packages = findPackages(options.backend, options.host)
  const core = packages[0]
  if (core === undefined) throw new Failure('tool-missing', 'no llama.cpp library was found')
  const layout = layoutOf(core.release)
  const handles = open(core)
  const version = bindVersion(handles.llama)()
  if (!version.startsWith(core.release.replace(/^v/, '')))
    throw new Failure(
      'native-fault',
      `${core.name} says it holds llama.cpp ${core.release}, but its library is ${version}`,
    )
  const symbols = bindLlama(handles.llama, layout)
  checkDefaults(layout, { model: symbols.modelDefaults(), context: symbols.contextDefaults() })
  const nativeLog = createNativeLog(options.log)
  symbols.logSet(logCallback(nativeLog), null)
  symbols.backendInit()
  const backends = bindBackends(handles.ggml, handles.base)
  const { backend, gpu } = loadBackends(backends, packages, options, nativeLog)
  const processor = cpus()[0]?.model.trim() ?? options.host.arch
  return {
    symbols,
    layout,
    backend,
    device: gpu === undefined ? processor : `${gpu} + ${processor}`,
    description: `llama.cpp ${core.release} (${core.name} ${core.version})`,
    isByteSet: lengthOfText(),
    nativeLog,
    threadPools: threadPoolsOf(backends),
  }
}

function open(core: LibraryPackage): { llama: LibraryHandle; ggml: LibraryHandle; base: LibraryHandle } {
  try {
    // Dependencies first: they then satisfy the later ones by name, whatever the search path is.
    const base = koffi.load(core.ggmlBase, { global: true })
    const ggml = koffi.load(core.ggml, { global: true })
    return { base, ggml, llama: koffi.load(core.llama) }
  } catch (error) {
    throw new Failure(
      'native-fault',
      `the libraries of ${core.name} ${core.version} cannot be loaded: ${String(error)}`,
      {
        cause: error,
      },
    )
  }
}

/** Adds packages, fastest first, until one brings a GPU; the CPU package is always the last resort of `auto`. */
function loadBackends(
  symbols: BackendSymbols,
  packages: readonly LibraryPackage[],
  wanted: { backend: 'auto' | Backend; host: Host },
  nativeLog: NativeLog,
): { backend: Backend; gpu: string | undefined } {
  for (const candidate of packages) {
    symbols.loadAllFrom(candidate.folder)
    const gpu = candidate.backend === 'cpu' ? undefined : firstGpu(symbols)
    if (gpu !== undefined) return { backend: candidate.backend, gpu }
  }
  if (wanted.backend !== 'auto' && wanted.backend !== 'cpu')
    throw new Failure(
      'native-fault',
      `engine.backend: ${wanted.backend} is installed but finds no device (driver missing, or the container has no GPU). ` +
        nativeLog.takeErrors().join('; '),
    )
  if (!hasCpu(symbols)) for (const cpu of findPackages('cpu', wanted.host)) symbols.loadAllFrom(cpu.folder)
  return { backend: 'cpu', gpu: undefined }
}

function firstGpu(symbols: BackendSymbols): string | undefined {
  const gpu = devices(symbols).find(({ type }) => type === deviceType.gpu || type === deviceType.integratedGpu)
  return gpu?.description
}

function hasCpu(symbols: BackendSymbols): boolean {
  return devices(symbols).some(({ type }) => type === deviceType.cpu)
}

function threadPoolsOf(symbols: BackendSymbols): ThreadPools | null {
  const cpu = devices(symbols).find(({ type }) => type === deviceType.cpu)
  return cpu === undefined ? null : findThreadPools(symbols, cpu.device)
}

function devices(symbols: BackendSymbols): { device: DeviceHandle; type: number; description: string }[] {
  return Array.from({ length: symbols.deviceCount() }, (_, i) => {
    const device = symbols.device(i)
    return { device, type: symbols.deviceType(device), description: symbols.deviceDescription(device) }
  })
}

/** Registered for the life of the process: native threads may log at any time. */
function logCallback(nativeLog: NativeLog): bigint {
  const type = koffi.proto('void', ['int', 'const char*', 'void*'])
  return koffi.register(nativeLog.receive, koffi.pointer(type))
}

/** libc's `strlen`, found among what the process already has. */
function lengthOfText(): Address {
  const symbol: unknown = koffi.load(null).symbol('strlen')
  return koffi.address(symbol)
}
