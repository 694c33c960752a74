/**
 * The first file that runs: plain JavaScript for any Node from 18 on, with no `node_modules`.
 *
 * It makes the installed packages match the lock file, then starts `cli/main.ts` on the Node that came with them and gets out
 * of the way: same arguments, same terminal, same exit code. It knows nothing of verbs or flags and imports only `node:`.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const modules = join(root, 'node_modules')
const stamp = join(modules, '.paceline-lock')
const lockWaitMsMax = 600_000
const outputCharactersMax = 64 * 1024

await main().catch((error) => {
  console.error(`paceline: ${error instanceof Error ? error.message : String(error)}`)
  process.exit(1)
})

async function main() {
  if (Number(process.versions.node.split('.')[0]) < 18)
    throw new Error(`Node ${process.versions.node} is too old to begin with; any Node from 18 on will do`)
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (!isInstalled(wanted)) await underLock(() => (isInstalled(wanted) ? undefined : install(wanted)))
  await run(nodeBinary())
}

function isInstalled(wanted) {
  return readOr(stamp, '').trim() === wanted && nodeBinary() !== null
}

/** Packages that somebody installed by hand from this very lock file are left as they are. */
async function install(wanted) {
  if (!matchesLock() || nodeBinary() === null) await npmCi()
  if (nodeBinary() === null)
    throw new Error(
      'npm ci ended well but left no Node 24 in node_modules/node; are install scripts switched off? (npm config get ignore-scripts)',
    )
  writeFileSync(stamp, `${wanted}\n`)
}

function matchesLock() {
  try {
    const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages
    const present = JSON.parse(readFileSync(join(modules, '.package-lock.json'), 'utf8')).packages
    return Object.entries(wanted).every(([path, entry]) => {
      if (path === '' || (entry.optional && !fitsThisMachine(entry))) return true
      return present[path] === undefined ? entry.optional === true : present[path].version === entry.version
    })
  } catch {
    return false
  }
}

function fitsThisMachine(entry) {
  const fits = (list, value) => list === undefined || list.includes(value)
  return fits(entry.os, process.platform) && fits(entry.cpu, process.arch)
}

async function npmCi() {
  const started = Date.now()
  const seconds = () => Math.round((Date.now() - started) / 1000)
  const terminal = process.stderr.isTTY === true
  const line = 'installing packages (npm ci; about half a minute the first time)'
  process.stderr.write(terminal ? line : `${line}\n`)
  const ticker = terminal ? setInterval(() => process.stderr.write(`\r${line} ${seconds()} s`), 1000) : undefined
  const { code, output } = await npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'])
  if (ticker !== undefined) clearInterval(ticker)
  if (terminal) process.stderr.write('\r\u001b[K')
  if (code !== 0) throw new Error(`npm ci failed after ${seconds()} s: ${reasonIn(output)}`)
  process.stderr.write(`installed packages in ${seconds()} s\n`)
}

/** npm's own settings of an enclosing `npm start` must not reach this one; they could change what it installs. */
function npm(args) {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(config_(prefix|global|omit)|lifecycle|package)/.test(name)),
  )
  const windows = process.platform === 'win32'
  return new Promise((resolve) => {
    const child = spawn(windows ? 'npm.cmd' : 'npm', args, {
      cwd: root,
      env,
      shell: windows,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (chunk) => {
      output = (output + chunk).slice(-outputCharactersMax)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    child.on('error', (error) => resolve({ code: 1, output: `npm cannot be started: ${error.message}` }))
    child.on('close', (code) => resolve({ code, output }))
  })
}

function reasonIn(output) {
  const lines = output.split('\n').map((line) => line.replace(/^npm (error|ERR!)( code)? ?/, '').trim())
  const said = lines.filter((line) => line !== '' && !line.startsWith('A complete log') && !line.startsWith('npm warn'))
  return said.slice(0, 3).join('; ') || 'npm said nothing'
}

/** npm's `node` package links the binary into `bin`; where its script could not, the package of the platform still holds it. */
function nodeBinary() {
  const names = [`node-${process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`]
  const file = process.platform === 'win32' ? 'node.exe' : 'node'
  const places = [
    join(modules, 'node', 'bin', file),
    ...names.flatMap((name) => [
      join(modules, 'node', 'node_modules', name, 'bin', file),
      join(modules, name, 'bin', file),
    ]),
  ]
  return places.find((place) => existsSync(place)) ?? null
}

/** One installation at a time: the folder is the lock, the pid in it tells a dead owner from a slow one. */
async function underLock(action) {
  const name = createHash('sha256').update(`${homedir()}\0${root}`).digest('hex').slice(0, 16)
  const lock = join(tmpdir(), `paceline-install-${name}`)
  const deadline = Date.now() + lockWaitMsMax
  let said = false
  while (!takeLock(lock)) {
    if (Date.now() > deadline)
      throw new Error(`another installation has not ended in ten minutes; if there is none, delete ${lock}`)
    if (!said) console.error('waiting for another installation of this checkout to end')
    said = true
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  try {
    await action()
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

function takeLock(lock) {
  try {
    mkdirSync(lock)
    writeFileSync(join(lock, 'pid'), String(process.pid))
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    const owner = Number(readOr(join(lock, 'pid'), ''))
    if (owner > 0 && !isAlive(owner)) rmSync(lock, { recursive: true, force: true })
    return false
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function readOr(path, otherwise) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return otherwise
  }
}

/**
 * Signals are passed on, never acted on: only the program knows how to end. The channel tells it when this process was
 * killed without a chance to pass anything on; under npm, whose death nobody would report, so does a changed family.
 */
async function run(node) {
  const args = ['--disable-warning=ExperimentalWarning', join(root, 'cli', 'main.ts'), ...process.argv.slice(2)]
  const child = spawn(node, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] })
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP']
  for (const signal of signals) process.on(signal, () => child.kill(signal))
  const family = ancestors()
  const watch =
    process.env.npm_lifecycle_event === undefined
      ? undefined
      : setInterval(() => ancestors() !== family && child.kill('SIGTERM'), 500)
  const { code, signal } = await new Promise((resolve, reject) => {
    child.on('error', (error) => reject(new Error(`${node} cannot be started: ${error.message}`)))
    child.on('exit', (code, signal) => resolve({ code, signal }))
  })
  clearInterval(watch)
  for (const name of signals) process.removeAllListeners(name)
  if (signal !== null) process.kill(process.pid, signal)
  else process.exit(code)
}

/** The parent, and where the system says, its parent: npm starts a shell that starts us, and either may be killed. */
function ancestors() {
  const stat = readOr(`/proc/${process.ppid}/stat`, '')
  return `${process.ppid} ${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]}`
}
