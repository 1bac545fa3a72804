// Writes a .gz beside every asset that gains by it, and fails when the script needed for the first page exceeds its budget.
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const dist = fileURLToPath(new URL('../dist/', import.meta.url))
const budget = 250 * 1000
const gains = /\.(js|css|html|svg|json|txt)$/

async function files(folder) {
  const found = []
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) found.push(...(await files(path)))
    else found.push(path)
  }
  return found
}

const sizes = new Map()
for (const path of await files(dist)) {
  if (!gains.test(path)) continue
  const packed = gzipSync(await readFile(path), { level: 9 })
  sizes.set(path.slice(dist.length), packed.length)
  await writeFile(`${path}.gz`, packed)
}
// emptyOutDir removes it; git keeps the folder through it.
await writeFile(join(dist, '.gitignore'), '*\n!.gitignore\n')

const page = await readFile(join(dist, 'index.html'), 'utf8')
const first = [...page.matchAll(/(?:src|href)="\/([^"]+\.js)"/g)].map((match) => match[1])
const sum = first.reduce((total, name) => total + (sizes.get(name) ?? 0), 0)
process.stdout.write(`script before the first page: ${(sum / 1000).toFixed(1)} kB gzipped of ${budget / 1000} allowed\n`)
if (sum > budget) process.exit(1)
