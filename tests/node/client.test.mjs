// The client for apps that are not pages, in Node.js, against a real service at URL.
import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, test } from 'node:test'
import { createClient, inMemory, inTurn, SignedOut } from 'tenure-js/client'

const URL_ = process.env.URL
const PASSWORD = 'correct horse battery'
const control = async (command) => (await fetch(`${URL_}/control/${command}`)).json()
const refreshes = async () => (await control('counts'))['/auth/refresh'] || 0
const kinds = async () => control('kinds')
const make = (more) => createClient({ base: `${URL_}/auth`, ...more })
const me = async (client) => (await client.fetch(`${URL_}/api/me`)).status
const file = join(tmpdir(), `tenure-${process.pid}.json`)
const inFile = {
  get: async () => {
    try {
      return JSON.parse(readFileSync(file))
    } catch {
      return null
    }
  },
  set: async (state) => (state ? writeFileSync(file, JSON.stringify(state), { mode: 0o600 }) : rmSync(file, { force: true })),
}
let storage

beforeEach(() => (storage = inMemory()))

test('it logs in, calls, refreshes when that is needed, and logs out', async () => {
  const client = make({ storage })
  assert.equal((await client.login('ada', PASSWORD, { device: 'Node.js' })).sub, 'ada')
  assert.equal(await me(client), 200)
  const before = await refreshes()
  await control('expire')
  assert.deepEqual(await Promise.all(Array.from({ length: 20 }, () => me(client))), Array(20).fill(200))
  assert.equal(await refreshes(), before + 1)
  assert.ok((await client.sessions()).some(({ device, current }) => current && device === 'Node.js'))
  await client.logout()
  assert.equal(storage.get(), null)
  await assert.rejects(client.token(), SignedOut)
})

test('nobody but the storage sees the refresh token', async () => {
  const answers = []
  const client = make({ storage, fetch: async (...all) => (answers.push(all), fetch(...all)) })
  const user = await client.login('ada', PASSWORD)
  assert.doesNotMatch(JSON.stringify([user, client]), /tnr1_/)
  assert.match(storage.get().refresh_token, /^tnr1_/)
  for (const [, init] of answers) assert.equal(init.credentials, 'omit')
})

test('a wrong password is told, and a storage without a session is nobody', async () => {
  await assert.rejects(make({ storage }).login('ada', 'wrong'), SignedOut)
  const before = await refreshes()
  assert.equal(await make().restore(), null)
  assert.equal(await refreshes(), before)
})

test('a program that starts again is logged in still, without a request', async () => {
  await make({ storage: inFile }).login('ada', PASSWORD)
  const before = await refreshes()
  const again = make({ storage: inFile })
  assert.equal((await again.restore()).sub, 'ada')
  assert.equal(await me(again), 200)
  assert.equal(await refreshes(), before)
  await again.logout()
})

test('two that share a storage and a lock: one refreshes, the other one uses it', async () => {
  const lock = inTurn()
  const [one, other] = [make({ storage, lock }), make({ storage, lock })]
  await one.login('ada', PASSWORD)
  assert.equal(await me(other), 200)
  for (let round = 0; round < 4; round++) {
    const before = await refreshes()
    await control('expire')
    assert.deepEqual(await Promise.all([one, other, one, other].map(me)), [200, 200, 200, 200])
    assert.equal(await refreshes(), before + 1)
  }
})

test('an idle one that wakes up after another one has refreshed twice', async () => {
  const [busy, idle] = [make({ storage }), make({ storage })]
  await busy.login('ada', PASSWORD)
  assert.equal(await me(idle), 200)
  for (let round = 0; round < 2; round++) {
    await control('expire')
    assert.equal(await me(busy), 200)
  }
  assert.equal(await me(idle), 200)
  assert.ok(!(await kinds()).includes('reuse_detected'))
})

for (const fault of ['lose', '503', 'late'])
  test(`a refresh that meets the fault "${fault}" is survived`, async () => {
    const client = make({ storage })
    await client.login('ada', PASSWORD)
    for (let round = 0; round < 2; round++) {
      await control('expire')
      await control(`fault/${fault}`)
      assert.equal(await me(client), 200)
    }
    assert.ok(!(await kinds()).includes('reuse_detected'))
  })

test('a crash in mid-refresh, whose response was lost: the next program sends the same refresh', async () => {
  const client = make({ storage: inFile, fetch: async (input, init) => {
    const got = await fetch(input, init)
    if (String(input).endsWith('/refresh')) throw new TypeError('the power went out')
    return got
  } })
  await client.login('ada', PASSWORD)
  await control('expire')
  await assert.rejects(client.fetch(`${URL_}/api/me`))
  assert.match((await inFile.get()).attempt, /^[0-9a-f-]{36}$/)
  const next = make({ storage: inFile })
  assert.equal(await me(next), 200)
  assert.equal((await kinds()).at(-1), 'retried')
  assert.equal((await inFile.get()).attempt, undefined)
  await next.logout()
})

test('a log-out that the server does not hear of is told before anything else, also by the next program', async () => {
  const client = make({ storage })
  await client.login('ada', PASSWORD)
  const sid = client.user.sid
  await control('deaf/1')
  await client.logout()
  const next = make({ storage })
  assert.equal(await next.restore(), null)
  assert.equal(storage.get(), null)
  const other = make()
  await other.login('ada', PASSWORD)
  assert.ok(!(await other.sessions()).some(({ id }) => id === sid))
})

test('a session that was ended is at an end, and its token is forgotten', async () => {
  const client = make({ storage })
  const heard = []
  client.addEventListener('signedout', ({ detail }) => heard.push(detail.reason))
  await client.login('ada', PASSWORD)
  await control('revoke')
  await control('expire')
  await assert.rejects(client.fetch(`${URL_}/api/me`), SignedOut)
  assert.equal(storage.get(), null)
  assert.equal(heard.length, 1)
})

test('no token goes to another origin', async () => {
  const client = make({ storage })
  await client.login('ada', PASSWORD)
  const answer = await client.fetch(`http://localhost:${new URL(URL_).port}/api/seen`)
  assert.deepEqual(await answer.json(), { authorization: '' })
})
