// A real Chromium with Device Bound Session Credentials (software keys, as Linux has no others) against `tenure serve` at
// URL. Nothing here plays a part of the protocol: the browser does all of it.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch } from './chromium.mjs'

const URL_ = process.env.URL
const DEBIAN = '/usr/bin/chromium' // the headless shell of the package knows nothing of it
const FEATURES = 'DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting'
let browser, another, owner, page

before(async () => {
  browser = await launch({ executable: DEBIAN, args: [`--enable-features=${FEATURES}`] })
  owner = await browser.newContext()
  page = await owner.newPage()
  await page.goto(`${URL_}/healthz`)
})
after(() => Promise.all([browser.close(), another?.close()]))

const names = async (context) => (await context.cookies()).map((cookie) => cookie.name)
const fetched = (page, path, options) =>
  page.evaluate(async ([path, options]) => {
    const answer = await fetch(path, options)
    return { status: answer.status, body: await answer.text() }
  }, [path, options])
const refresh = (page) => fetched(page, '/auth/refresh', { method: 'POST' })
// What ten minutes do.
const expire = (context) => context.clearCookies({ name: /proven|access|bounced/ })

test('a login by cookie is bound to the device', async () => {
  const answer = await fetched(page, '/auth/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username: 'ada', password: process.env.PASSWORD, transport: 'cookie' }),
  })
  assert.equal(answer.status, 200)
  for (let tries = 0; !(await names(owner)).includes('tenure-proven'); tries++) {
    assert.ok(tries < 100, 'the browser did not register')
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  const pair = JSON.parse((await refresh(page)).body)
  const listed = await fetched(page, '/auth/sessions', { headers: { authorization: `Bearer ${pair.access_token}` } })
  assert.deepEqual(JSON.parse(listed.body).sessions.map((session) => session.bound), ['device'])
})

test('the browser proves its key by itself, for a fetch and for a navigation', async () => {
  await expire(owner)
  assert.equal((await refresh(page)).status, 200)
  assert.ok((await names(owner)).includes('tenure-proven'))
  await expire(owner)
  await page.goto(`${URL_}/auth/continue?to=/healthz`)
  assert.equal(page.url(), `${URL_}/healthz`)
  assert.ok((await names(owner)).includes('tenure-proven'))
})

test('all cookies in another browser are worth nothing', async () => {
  await expire(owner)
  const stolen = await owner.storageState()
  another = await launch({ executable: DEBIAN, args: [`--enable-features=${FEATURES}`] })
  const thief = await another.newContext({ storageState: stolen })
  assert.deepEqual((await names(thief)).toSorted(), ['tenure-device', 'tenure-refresh', 'tenure-session-7d2f30b8'])
  const elsewhere = await thief.newPage()
  await elsewhere.goto(`${URL_}/healthz`)
  const answer = await refresh(elsewhere)
  assert.notEqual(answer.status, 200)
  assert.ok(!answer.body.includes('access_token'))
  assert.equal((await refresh(page)).status, 200)
})
