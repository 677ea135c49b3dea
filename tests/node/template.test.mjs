// examples/fastapi_template.py and its front end at SITE, in a real Chromium: the Authorize button, and React's libraries.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { launch } from './chromium.mjs'

const { SITE } = process.env
let browser, context, page, requests

before(async () => {
  browser = await launch()
})
after(() => browser.close())
beforeEach(async () => {
  await context?.close()
  context = await browser.newContext()
  context.setDefaultTimeout(10000)
  page = await context.newPage()
  requests = []
  page.on('response', (response) => requests.push(`${response.status()} ${new URL(response.url()).pathname}`))
})

test('the Authorize button takes name and password', async () => {
  await page.goto(`${SITE}/control/docs`)
  await page.click('.auth-wrapper .authorize')
  await page.fill('#oauth_username', 'ada@example.com')
  await page.fill('#oauth_password', 'correct horse battery')
  await page.click('.auth-container:has(#oauth_username) button.authorize')
  await page.click('.auth-container:has-text("Logout") .btn-done')
  await page.click('.opblock:has([data-path="/api/v1/users/me"]) .opblock-summary-control')
  await page.click('.opblock.is-open .try-out__btn')
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().endsWith('/users/me')),
    page.click('.opblock.is-open .execute'),
  ])
  assert.deepEqual([answer.status(), (await answer.json()).email], [200, 'ada@example.com'])
})

async function front() {
  await page.goto(`${SITE}/control/front`)
  await page.waitForFunction(() => globalThis.front)
}
const me = () =>
  page.evaluate(async () => {
    const { data } = await front.queryClient.fetchQuery({ queryKey: ['currentUser', Math.random()], queryFn: () => front.axios.get('/api/v1/users/me') })
    return data.email
  })
const login = () => page.evaluate(() => front.login({ username: 'ada@example.com', password: 'correct horse battery' }))

test('the front end logs in, is logged in after a reload, and notices no expiry', async () => {
  await front()
  assert.equal(await page.evaluate(() => front.isLoggedIn()), false)
  await login()
  assert.equal(await me(), 'ada@example.com')
  await front()
  assert.equal(await page.evaluate(() => front.isLoggedIn()), true)
  await fetch(`${SITE}/control/later`)
  requests.length = 0
  assert.deepEqual(await Promise.all([me(), me(), me()]), Array(3).fill('ada@example.com'))
  assert.equal(requests.filter((one) => one === '200 /api/v1/auth/refresh').length, 1)
  assert.equal(await page.evaluate(() => JSON.stringify({ ...localStorage }).includes('eyJ')), false)
})

test('whoever was logged in by a token of before stays logged in', async () => {
  await page.goto(`${SITE}/openapi.json`)
  await page.evaluate(async () => localStorage.setItem('access_token', await (await fetch('/control/old')).json()))
  for (let visit = 0; visit < 2; visit++) {
    await front()
    assert.equal(await me(), 'ada@example.com')
  }
  assert.equal(await page.evaluate(() => localStorage.getItem('access_token')), null)
})

test('public addresses need no login, and a wrong password is told', async () => {
  await front()
  assert.equal(await page.evaluate(async () => (await front.axios.get('/openapi.json')).status), 200)
  assert.equal(await page.evaluate(() => front.login({ username: 'ada@example.com', password: 'x' }).catch((problem) => problem.name)), 'SignedOut')
})

test('logging out leads to the login page, and so does a session that was ended elsewhere', async () => {
  await front()
  await login()
  await page.evaluate(() => front.logout())
  assert.deepEqual(await page.evaluate(() => went), ['/login'])
  await login()
  await fetch(`${SITE}/control/end`)
  await me().catch(() => {})
  assert.deepEqual(await page.evaluate(() => went), ['/login', '/login'])
})
