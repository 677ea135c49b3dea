// examples/openid_connect.py at SITE, with the provider at PROVIDER, in a real Chromium.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch } from './chromium.mjs'

const { SITE, PROVIDER } = process.env
let browser, context, page

before(async () => {
  browser = await launch()
  context = await browser.newContext()
  context.setDefaultTimeout(10000)
  page = await context.newPage()
})
after(() => browser.close())

const said = async () => JSON.parse(await page.textContent('body'))

test('a stranger logs in at the provider, and is where they wanted to go', async () => {
  await page.goto(`${SITE}/?tab=1`)
  await page.fill('[name=login]', 'ada')
  await page.fill('[name=password]', 'anything')
  await page.click('button[type=submit]')
  await page.click('button[type=submit]') // consent
  await page.waitForURL(`${SITE}/?tab=1`)
  assert.equal(await said(), 'Hello ada')
})

test('the next pages need no provider', async () => {
  await page.goto(SITE)
  assert.equal(await said(), 'Hello ada')
})

test('logging out at the provider ends the session here, at once', async () => {
  await page.goto(`${PROVIDER}/session/end`)
  await page.click('button[name=logout], button[value=yes], button')
  await page.waitForLoadState()
  for (let tries = 0; tries < 50; tries++) {
    await page.goto(SITE)
    if (page.url().startsWith(PROVIDER)) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  assert.ok(page.url().startsWith(PROVIDER), page.url())
})
