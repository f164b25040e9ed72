// Says what npx makes of a line, by npm's own code and without a network.
//
//   node npx.cjs NPM_FOLDER < lines > answers     each line and each answer is one line of JSON; before them, the options
//
// `bin/npx-cli.js` rewrites the arguments, npm's Config reads them, and `lib/commands/exec.js` decides; only
// libnpmexec, which would install and run, is replaced by something that notes what it was told.

'use strict'

const path = require('node:path')
const readline = require('node:readline')

const root = path.resolve(process.argv[2])
const resolve = (name) => require.resolve(name, { paths: [root] })
const replace = (file, exports) => { require.cache[file] = { id: file, filename: file, loaded: true, exports } }

let told
replace(path.join(root, 'lib/cli.js'), () => {})
replace(resolve('libnpmexec'), async (options) => { told = options })
const Npm = require(path.join(root, 'lib/npm.js'))
const npa = require(resolve('npm-package-arg'))
const first = path.join(root, 'bin/npx-cli.js')

const node = process.argv[0]
const environment = { ...process.env }
const sink = () => ({ write: () => true, isTTY: false, columns: 80 })
const say = console.error

// What libnpmexec does with what it is told (`libnpmexec/lib/index.js`).
const decided = ({ args, call, packages, registry }) => {
  if (!args.length && !call) return { is: 'shell' }
  // Then it runs on what this machine has.
  if (call && !packages.length) return { is: 'call' }
  const named = packages.length > 0
  const specs = named ? packages : [args[0]]
  const packagesSeen = specs.map((text) => {
    const spec = npa(text)
    // Of an alias only the folder would be called otherwise.
    const { type, name, fetchSpec } = spec.subSpec ?? spec
    return { type, name, wanted: String(fetchSpec ?? '') }
  })
  return {
    is: 'run',
    packages: packagesSeen,
    command: named && !call ? args[0] : null,
    call: call || null,
    args: args.slice(1),
    registry,
    node_options: process.env.NODE_OPTIONS ?? null,
  }
}

const judge = async (line) => {
  process.env = { ...environment }
  process.argv = [node, first, ...line]
  told = undefined
  console.error = () => {}
  delete require.cache[first]
  require(first)
  console.error = say
  const npm = new Npm({ stdout: sink(), stderr: sink() })
  try {
    const { exec, command, args } = await npm.load()
    if (!exec) return { is: 'version' }
    const usage = npm.config.get('usage')
    const versions = npm.config.get('versions', 'cli')
    if (versions) return { is: 'version' }
    await npm.exec(command, args)
    if (!told) return { is: usage ? 'help' : 'nothing' }
    if (npm.config.get('yes') === false) return { is: 'fails', why: 'yes is false' }
    return decided(told)
  } catch (error) {
    return { is: 'fails', why: String(error.code ?? error.message) }
  } finally {
    npm.unload()
  }
}

// npm adds listeners to the process for each of its instances.
process.setMaxListeners(0)
const { definitions, shorthands } = require(resolve('@npmcli/config/lib/definitions'))
const isSwitch = ({ type }) => type === Boolean || (Array.isArray(type) && type.includes(Boolean))
const options = Object.fromEntries(Object.entries(definitions).map(([name, is]) => [name, !isSwitch(is)]))
const source = require('node:fs').readFileSync(first, 'utf8')
const sets = source.match(/new Set\(\[[^\]]*\]\)/g).join().match(/'[^']+'/g).map((name) => name.slice(1, -1))
const names = [...new Set([...Object.keys(shorthands), ...sets])].filter((name) => !(name in options) || name === 'ignore-existing')

const main = async () => {
  process.stdout.write(JSON.stringify({ options, names }) + '\n')
  for await (const text of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await judge(JSON.parse(text))) + '\n')
  }
  process.exit(0)
}
main()
