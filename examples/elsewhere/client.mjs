// A program that stays logged in between its runs. Usage: node client.mjs BASE FILE NAME < password
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { createClient } from 'tenure-js/client'

const [base, file, name] = process.argv.slice(2)

// Readable for its owner only, and replaced as a whole, so that a crash leaves the old state or the new one.
const storage = {
  get: async () => JSON.parse(await readFile(file, 'utf8').catch(() => 'null')),
  async set(state) {
    if (!state) return rm(file, { force: true })
    await writeFile(`${file}.new`, JSON.stringify(state), { mode: 0o600 })
    await rename(`${file}.new`, file)
  },
}

const client = createClient({ base, storage })
const user = (await client.restore()) ?? (await client.login(name, (await text(process.stdin)).trim()))
const answer = await client.fetch(`${base}/me`)
console.log(user.sub, answer.status)
