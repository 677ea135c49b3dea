// One service behind an nginx that adds and strips paths, on several hosts of one site, in a Chromium with all of its
// protections on.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { launch } from './chromium.mjs'

const { PORT, PASSWORD, ATTACKER_TOKEN } = process.env
const at = (host, path = '/') => `https://${host}.example.test:${PORT}${path}`
let browser, context, page

before(async () => {
  browser = await launch({ args: ['--host-resolver-rules=MAP *.example.test 127.0.0.1'] })
})
after(() => browser.close())
beforeEach(async () => {
  await context?.close()
  context = await browser.newContext({ ignoreHTTPSErrors: true })
  page = await context.newPage()
})

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const cookie = async (name) => (await context.cookies()).find((one) => one.name === name)
const open = (host, module) =>
  page.goto(at(host)).then(() =>
    page.evaluate(async (address) => {
      const { createSession } = await import(address)
      globalThis.session = createSession()
    }, module),
  )
const login = () => page.evaluate((password) => session.login('ada', password), PASSWORD)
const restored = () => page.evaluate(async () => (await session.restore())?.sub ?? null)
const me = (address) => page.evaluate((url) => session.fetch(url).then((answer) => answer.status), address)

for (const [what, host, base] of [
  ['strips the path of the issuer', 'app', '/api/auth'],
  ['adds a path that the cookie does not have', 'added', '/auth'],
]) {
  test(`behind a proxy that ${what}, people stay logged in`, async () => {
    await open(host, at(host, `${base}/tenure.js`))
    await login()
    assert.equal((await cookie('__Secure-tenure-refresh')).path, base)
    await pause(2500) // beyond the access token's life
    assert.equal(await me(at(host, `${base}/me`)), 200)
    await open(host, at(host, `${base}/tenure.js`)) // loaded anew: only the cookie is left
    assert.equal(await restored(), 'ada')
    await page.evaluate(() => session.logout())
    await open(host, at(host, `${base}/tenure.js`))
    assert.equal(await restored(), null)
    assert.equal(await cookie('__Secure-tenure-refresh'), undefined)
  })
}

test('a page of another origin of the same site stays logged in, and can read why it is refused', async () => {
  await open('pages', at('app', '/api/auth/tenure.js'))
  await login()
  await pause(2500)
  assert.equal(await me(at('app', '/api/auth/sessions')), 200)
  const told = await page.evaluate(async (url) => {
    const answer = await fetch(url, { headers: { Authorization: 'Bearer rubbish' } })
    return [answer.status, answer.headers.get('WWW-Authenticate')]
  }, at('app', '/api/auth/me'))
  assert.equal(told[0], 401)
  assert.match(told[1], /error="invalid_token"/)
  assert.equal(await restored(), 'ada')
})

test('a page of an origin that is not allowed can do nothing', async () => {
  await page.goto(at('stranger'))
  const refused = await page.evaluate(async (url) => {
    try {
      return (await fetch(url, { method: 'POST', credentials: 'include' })).status
    } catch (problem) {
      return problem.name
    }
  }, at('app', '/api/auth/refresh'))
  assert.equal(refused, 'TypeError')
})

test('a neighbour that tosses a cookie in signs nobody in', async () => {
  await page.goto(at('evil', `/toss?${ATTACKER_TOKEN}`))
  assert.equal((await cookie('__Secure-tenure-refresh')).domain, '.example.test')
  await open('app', at('app', '/api/auth/tenure.js'))
  assert.equal(await restored(), null)
})

test('nor does it sign out or change whoever is signed in', async () => {
  await open('app', at('app', '/api/auth/tenure.js'))
  await login()
  await page.goto(at('evil', `/toss?${ATTACKER_TOKEN}`))
  assert.equal((await context.cookies()).filter((one) => one.name === '__Secure-tenure-refresh').length, 2)
  await open('app', at('app', '/api/auth/tenure.js'))
  assert.equal(await restored(), 'ada')
  // and the stray is gone
  assert.equal((await context.cookies()).filter((one) => one.name === '__Secure-tenure-refresh').length, 1)
  await open('app', at('app', '/api/auth/tenure.js'))
  assert.equal(await restored(), 'ada')
})

test('a neighbour can not set the companion', async () => {
  await page.goto(at('evil', '/companion'))
  assert.deepEqual(await context.cookies(), [])
})
