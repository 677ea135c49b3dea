// The module for servers, against a real service at URL.
import assert from 'node:assert/strict'
import { createServer, get } from 'node:http'
import { after, before, test } from 'node:test'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { createSessions } from 'tenure-js/server'

const URL_ = process.env.URL
const control = async (command) => (await fetch(`${URL_}/control/${command}`)).json()
let ahead = 0 // the service's clock is the test's
let sessions, pair

const login = async (headers = {}) => {
  const body = JSON.stringify({ username: 'ada', password: 'correct horse battery' })
  const answer = await fetch(`${URL_}/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
  const content = await answer.json()
  const [, said] = content.access_token.split('.')
  ahead = 1000 * JSON.parse(Buffer.from(said, 'base64url')).iat - Date.now()
  return content
}
const make = (more) => createSessions({ issuer: URL_, audience: 'api', clock: () => Date.now() + ahead, ...more })
const navigation = (headers, path = '/notes?q=7') => new Request(`${URL_}${path}`, { headers: { 'sec-fetch-mode': 'navigate', ...headers } })
const withCookie = (token) => ({ cookie: `theme=dark; tenure-access=${token}` })
const until = async (probe) => {
  for (let tries = 0; tries < 100 && !(await probe()); tries++) await new Promise((resolve) => setTimeout(resolve, 50))
  assert.ok(await probe())
}

before(async () => {
  pair = await login()
  sessions = make()
})
after(() => sessions.close())

test('who makes a request, by the header and by the cookie of pages', async () => {
  for (const headers of [{ authorization: `Bearer ${pair.access_token}` }, { authorization: `bearer ${pair.access_token}` }, withCookie(pair.access_token)]) {
    const session = await sessions.of(new Request(URL_, { headers }))
    assert.equal(session.user.sub, 'ada')
    assert.equal(session.token, pair.access_token)
    assert.equal((await sessions.of(new Headers(headers))).user.sid, session.user.sid)
  }
})

test('what is no good token is nobody', async () => {
  const [header, claims, signature] = pair.access_token.split('.')
  const forged = `${header}.${Buffer.from('{"sub":"eve","sid":"1","exp":9999999999}').toString('base64url')}.${signature}`
  const none = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${claims}.`
  for (const token of ['x', 'a.b.c', '', forged, none, pair.refresh_token, 'x'.repeat(20000)]) {
    assert.equal(await sessions.of(new Headers({ authorization: `Bearer ${token}` })), null, token)
    assert.equal(await sessions.of(new Headers(withCookie(token))), null, token)
  }
  for (const header of ['', 'Bearer', 'Basic YTpi', `DPoP ${pair.access_token}`]) assert.equal(await sessions.of(new Headers({ authorization: header })), null)
  assert.equal(await sessions.of(new Headers()), null)
  const elsewhere = make({ audience: 'another', revocations: false })
  assert.equal(await elsewhere.of(new Headers(withCookie(pair.access_token))), null)
})

test('a junk cookie of the same name hides no good one', async () => {
  assert.equal((await sessions.of(new Headers({ cookie: `tenure-access=junk; tenure-access=${pair.access_token}` }))).user.sub, 'ada')
})

test('a bound token is refused: it needs a proof', async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const proof = async (nonce) =>
    new SignJWT({ htm: 'POST', htu: `${URL_}/auth/login`, jti: crypto.randomUUID(), nonce })
      .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk: await exportJWK(publicKey) })
      .setIssuedAt(Math.floor((Date.now() + ahead) / 1000))
      .sign(privateKey)
  const asked = await fetch(`${URL_}/auth/login`, { method: 'POST', headers: { 'content-type': 'application/json', dpop: await proof() }, body: '{"username":"ada","password":"correct horse battery"}' })
  const bound = await login({ dpop: await proof(asked.headers.get('dpop-nonce')) })
  assert.equal(bound.token_type, 'DPoP')
  assert.equal(await sessions.of(new Headers({ authorization: `Bearer ${bound.access_token}` })), null)
})

test('a form or a script of another site does not use the cookie', async () => {
  const post = (headers) => sessions.of(new Request(URL_, { method: 'POST', headers: { ...withCookie(pair.access_token), ...headers } }))
  for (const headers of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'https://evil.example' }, { origin: 'null' }]) assert.equal(await post(headers), null)
  for (const headers of [{ 'sec-fetch-site': 'same-origin' }, { origin: URL_ }, {}]) assert.equal((await post(headers)).user.sub, 'ada')
  assert.equal((await post({ origin: 'https://evil.example', authorization: `Bearer ${pair.access_token}` })).user.sub, 'ada')
})

test('the guard lets a fresh session pass, and sends an expired navigation to refresh', async () => {
  assert.equal(await sessions.guard(navigation(withCookie(pair.access_token))), null)
  for (const headers of [{}, withCookie('expired')]) {
    const answer = await sessions.guard(navigation(headers))
    assert.deepEqual([answer.status, answer.headers.get('location')], [303, `${URL_}/auth/continue?to=%2Fnotes%3Fq%3D7`])
    assert.equal(answer.headers.get('cache-control'), 'no-store')
  }
  const html = await sessions.guard(new Request(`${URL_}/notes`, { headers: { accept: 'text/html,*/*' } })) // a browser without Sec-Fetch
  assert.equal(html.status, 303)
})

test('a script gets 401 with a challenge that the browser module understands', async () => {
  for (const request of [new Request(`${URL_}/data`, { headers: withCookie('expired') }), new Request(`${URL_}/data`, { method: 'POST', headers: { 'sec-fetch-mode': 'cors', ...withCookie('x') } })]) {
    const answer = await sessions.guard(request)
    assert.deepEqual([answer.status, answer.headers.get('www-authenticate')], [401, 'Bearer error="invalid_token"'])
  }
})

test('a token about to expire is renewed before a page is rendered with it, and goes on until then', async () => {
  const was = ahead
  ahead += 595_000
  try {
    assert.equal((await sessions.of(new Headers(withCookie(pair.access_token)))).user.sub, 'ada')
    assert.equal((await sessions.guard(navigation(withCookie(pair.access_token)))).status, 303)
    assert.equal(await sessions.guard(navigation({ cookie: `tenure-access=${pair.access_token}; tenure-bounced=1` })), null)
    assert.equal(await sessions.guard(new Request(`${URL_}/data`, { headers: withCookie(pair.access_token) })), null)
    ahead += 20_000
    assert.equal(await sessions.of(new Headers(withCookie(pair.access_token))), null)
  } finally {
    ahead = was
  }
})

test('no redirect goes round in circles', async () => {
  const answer = await sessions.guard(navigation({ cookie: 'tenure-bounced=1' }))
  assert.equal(answer.status, 400)
  assert.match(await answer.text(), /cookies did not come back/)
  assert.match(answer.headers.get('set-cookie'), /tenure-bounced=; Path=\/; Max-Age=0/)
})

test('calls on behalf of the user, to the APIs that may see the token only', async () => {
  const session = await sessions.of(new Headers(withCookie(pair.access_token)))
  const answers = await Promise.all(Array.from({ length: 12 }, () => session.fetch(`${URL_}/api/me`, { method: 'POST', body: 'abc' })))
  for (const answer of answers) assert.deepEqual([answer.status, (await answer.json()).sub], [200, 'ada'])
  await assert.rejects(session.fetch('https://elsewhere.example/'), /not among apis/)
})

test('an ended session is refused at once', async () => {
  const other = await login()
  const headers = new Headers({ authorization: `Bearer ${other.access_token}` })
  assert.equal((await sessions.of(headers)).user.sub, 'ada')
  await fetch(`${URL_}/auth/logout`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ refresh_token: other.refresh_token }) })
  await until(async () => (await sessions.of(headers)) === null)
  assert.equal((await sessions.of(new Headers(withCookie(pair.access_token)))).user.sub, 'ada')
  const late = make()
  await until(async () => (await late.of(headers)) === null)
  late.close()
})

test('cutoffs end what they name', async () => {
  const claims = JSON.parse(Buffer.from(pair.access_token.split('.')[1], 'base64url'))
  const feed = (cutoff) => async (request, init) => {
    if (!new URL(request.url ?? request).pathname.endsWith('/revoked')) return fetch(request, init)
    if (/wait=[^0]/.test(request.url)) await new Promise((resolve) => request.signal.addEventListener('abort', resolve))
    return Response.json({ position: 1, keep_for: 605, revoked: [], cutoffs: [{ at: claims.iat + 1, before: claims.iat + 1, client_id: '', device: '', ...cutoff }] })
  }
  for (const [cutoff, ends] of [[{}, true], [{ before: claims.iat - 100 }, false], [{ client_id: 'another' }, false], [{ client_id: claims.client_id }, true], [{ device: 'Phone' }, true], [{ device: 'Phone', at: claims.iat - 1 }, false]]) {
    const one = make({ fetch: feed(cutoff) })
    await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal((await one.of(new Headers(withCookie(pair.access_token)))) === null, ends, JSON.stringify(cutoff))
    one.close()
  }
})

test('keys that cannot be fetched are an error, not a stranger', async () => {
  const nobody = make({ service: 'http://127.0.0.1:9', revocations: false })
  await assert.rejects(nobody.of(new Headers(withCookie(pair.access_token))))
})

test('a service without a feed, and one that is away, refuse nobody', async () => {
  let asked = 0
  const server = createServer((request, response) => {
    asked++
    response.statusCode = request.url.startsWith('/auth/revoked') ? 404 : 500
    response.end()
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const one = make({ service: `http://127.0.0.1:${server.address().port}` })
  await until(() => asked === 1)
  await new Promise((resolve) => setTimeout(resolve, 1200))
  assert.equal(asked, 1)
  one.close()
  server.close()
})

test('in Hono, on a real server', async () => {
  const app = new Hono()
  app.use(async (context, next) => (await sessions.guard(context.req.raw)) ?? next())
  app.get('/notes', async (context) => context.text(`Hello ${(await sessions.of(context.req.raw)).user.sub}`))
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' })
  await new Promise((resolve) => server.once('listening', resolve))
  const site = `http://127.0.0.1:${server.address().port}`
  const known = await fetch(`${site}/notes`, { headers: { 'sec-fetch-mode': 'navigate', ...withCookie(pair.access_token) } })
  assert.deepEqual([known.status, await known.text()], [200, 'Hello ada'])
  const stranger = await new Promise((resolve) => get(`${site}/notes`, { headers: { 'sec-fetch-mode': 'navigate' } }, resolve))
  assert.deepEqual([stranger.statusCode, stranger.headers.location], [303, `${URL_}/auth/continue?to=%2Fnotes`])
  assert.equal((await fetch(`${site}/notes`)).status, 401)
  server.close()
})
