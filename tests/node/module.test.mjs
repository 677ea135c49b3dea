// The browser module's state machine, with a platform made of plain objects: no browser, no network.
import assert from 'node:assert/strict'
import { beforeEach, test } from 'node:test'

const kept = new Map()
globalThis.location = { href: 'https://app.example.com/', origin: 'https://app.example.com' }
globalThis.localStorage = { getItem: (name) => kept.get(name) ?? null, setItem: (name, value) => kept.set(name, value) }
const online = [] // what listens for the network to come back
globalThis.addEventListener = (type, listener) => type === 'online' && online.push(listener)
// BroadcastChannel and Web Locks are Node's own; a channel must not keep the process alive.
const Channel = globalThis.BroadcastChannel
globalThis.BroadcastChannel = class extends Channel {
  constructor(name) {
    super(name)
    this.unref()
  }
}
const { createSession, SignedOut, RefreshFailed } = await import('../../js/tenure.js')

let number, requests, answers
const jwt = (sub) => `x.${Buffer.from(JSON.stringify({ sub, n: ++number })).toString('base64url')}.x`
const pair = (sub = 'ada') => Response.json({ access_token: jwt(sub), expires_in: 600 })
const challenge = () => new Response('', { status: 401, headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' } })

/** Answers by path, each used once; the last one stays. */
async function send(input, init) {
  const request = new Request(input, init)
  const body = request.body ? await request.text() : ''
  requests.push({ path: new URL(request.url).pathname, headers: request.headers, body, origin: new URL(request.url).origin })
  const queue = answers[new URL(request.url).pathname] || [() => new Response('{}')]
  return (queue.length > 1 ? queue.shift() : queue[0])()
}

beforeEach(() => {
  kept.clear()
  number = 0
  requests = []
  answers = { '/auth/refresh': [pair] }
})
const session = () => createSession({ fetch: send })
const paths = () => requests.map((request) => request.path)

test('the first request gets a token by itself', async () => {
  await session().fetch('https://app.example.com/api')
  assert.deepEqual(paths(), ['/auth/refresh', '/api'])
  assert.match(requests[1].headers.get('authorization'), /^Bearer x\./)
  assert.match(requests[0].headers.get('idempotency-key'), /^[0-9a-f-]{36}$/)
})

test('a stream is never sent twice', async () => {
  answers['/api'] = [challenge]
  const body = new Blob(['once']).stream()
  const answer = await session().fetch('https://app.example.com/api', { method: 'POST', body, duplex: 'half' })
  assert.equal(answer.status, 401)
  assert.deepEqual(paths(), ['/auth/refresh', '/api'])
})

test('a body that can be repeated is, once', async () => {
  answers['/api'] = [challenge]
  const answer = await session().fetch('https://app.example.com/api', { method: 'POST', body: 'twice' })
  assert.equal(answer.status, 401)
  assert.deepEqual(paths(), ['/auth/refresh', '/api', '/auth/refresh', '/api'])
  assert.deepEqual([requests[1].body, requests[3].body], ['twice', 'twice'])
})

test('no token goes elsewhere', async () => {
  await session().fetch('https://evil.example.com/api')
  await session().fetch('http://app.example.com/api')
  assert.deepEqual(requests.map((request) => request.headers.get('authorization')), [null, null])
  await createSession({ fetch: send, origins: ['https://api.example.com'] }).fetch('https://api.example.com/api')
  assert.match(requests.at(-1).headers.get('authorization'), /^Bearer/)
})

test('only a definite answer ends the session, and the attempt key stays until there is one', async () => {
  const one = session()
  await one.restore()
  const ended = []
  one.addEventListener('signedout', ({ detail }) => ended.push(detail.reason))
  answers['/api'] = [challenge]
  for (const answer of [
    () => new Response('<html>', { status: 502 }),
    () => Response.json({ error: 'temporarily_unavailable' }, { status: 429 }),
    () => Response.json({ error: 'invalid_request' }, { status: 403 }),
    () => Promise.reject(new TypeError('offline')),
  ]) {
    answers['/auth/refresh'] = [answer]
    const begun = requests.length
    online.forEach((listener) => listener())
    await assert.rejects(one.fetch('https://app.example.com/api'), RefreshFailed)
    const keys = requests.slice(begun).filter(({ path }) => path === '/auth/refresh').map(({ headers }) => headers.get('idempotency-key'))
    assert.equal(keys.length, 4)
    assert.equal(new Set(keys).size, 1)
  }
  const all = requests.slice(1).filter(({ path }) => path === '/auth/refresh').map(({ headers }) => headers.get('idempotency-key'))
  assert.equal(new Set(all).size, 1)
  assert.equal(one.user.sub, 'ada')
  const tried = requests.length
  await assert.rejects(one.fetch('https://app.example.com/api'), RefreshFailed) // for a moment, nobody tries again
  assert.deepEqual(paths().slice(tried), ['/api'])
  online.forEach((listener) => listener())
  answers['/auth/refresh'] = [() => Response.json({ error: 'invalid_grant', reason: 'reuse_detected' }, { status: 400 })]
  await assert.rejects(one.fetch('https://app.example.com/api'), SignedOut)
  assert.deepEqual(ended, ['reuse_detected'])
  assert.equal(one.user, null)
})

test('many callers wait for one refresh', async () => {
  const one = session()
  await Promise.all(Array.from({ length: 50 }, () => one.fetch('https://app.example.com/api')))
  assert.equal(paths().filter((path) => path === '/auth/refresh').length, 1)
})

test('what is nobody yet is nobody', async () => {
  answers['/auth/refresh'] = [() => Response.json({ error: 'invalid_request' }, { status: 400 })]
  assert.equal(await session().restore(), null)
})
