// The demo's page in a real Chromium, against `tenure serve --demo` at URL with access tokens of three seconds.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { launch } from './chromium.mjs'

const URL_ = process.env.URL
let browser, context, page, foreign

before(async () => {
  browser = await launch()
})
after(() => browser.close())
beforeEach(async () => {
  await context?.close()
  context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  page = await context.newPage()
  foreign = []
  page.on('request', (request) => request.url().startsWith(URL_) || request.url().startsWith('data:') || foreign.push(request.url()))
  page.on('pageerror', (error) => foreign.push(error.message))
  await page.goto(URL_)
  await page.waitForFunction(() => document.getElementById('password').value)
})

const login = async () => {
  await page.click('#login button')
  await page.waitForSelector('#signed-in:not([hidden])')
}
const expired = () => page.waitForFunction(() => document.querySelector('#access.over'), null, { timeout: 10_000 })
const newestIs = (what) => page.waitForFunction((what) => document.querySelector('#timeline li:first-child .what')?.textContent === what, what)
const family = (whose) => page.locator('#lines > div', { hasText: whose })

test('everything is from here, and nothing fails', async () => {
  await login()
  await page.click('#call')
  await page.waitForFunction(() => document.querySelector('#timeline .what').textContent === 'GET /auth/me')
  assert.deepEqual(foreign, [])
})

test('the silent refresh slides in, and the family grows', async () => {
  await login()
  await expired()
  await page.click('#call')
  await page.waitForSelector('#timeline li.silent')
  await newestIs('GET /auth/me')
  await family('this browser').locator('text=head at link 1').waitFor()
  assert.equal(await page.textContent('#refresh-id'), 'link 2 of its family')
})

test('a lost answer is tried again, and makes siblings', async () => {
  await login()
  await page.click('#lose')
  await expired()
  await page.click('#call')
  await page.waitForSelector('#timeline li.lost')
  await family('this browser').locator('text=two children').waitFor()
  assert.equal(await family('this browser').locator('.sibling').count(), 2)
  const keys = await page.$$eval('#timeline li', (items) => items.slice(0, 4).map((item) => item.textContent.match(/attempt key (\w+)/)?.[1]).filter(Boolean))
  assert.equal(keys[0], keys[1])
})

test('a theft turns the family red, and the other device lives on', async () => {
  await login()
  await page.click('#device')
  await family('the second device').waitFor()
  await page.click('#steal')
  await page.click('#replay')
  await page.waitForFunction(() => document.querySelector('#timeline .what').textContent.startsWith('the thief'))
  await expired()
  await page.click('#call')
  await page.waitForSelector('#login:not([hidden])')
  assert.match(await page.textContent('#notice'), /two holders exist.*log in again/)
  assert.equal(await page.locator('svg.family.dead').count(), 1)
  await family('the second device').locator('svg.family.alive').waitFor()
  assert.equal(await page.evaluate(() => document.activeElement.id), 'password')
  await login() // and the owner is back
})

test('a session that is ended from the list stops at once', async () => {
  await login()
  await page.click('#device')
  await family('the second device').waitFor()
  await page.waitForTimeout(300) // until the list has it, too
  await page.locator('#list li', { hasText: 'Second device' }).last().locator('button').click()
  await page.waitForSelector('#list .stopped')
  assert.match(await page.textContent('#list .stopped'), /stopped working [0-2]\.\d seconds after/)
})

test('it works by keyboard alone', async () => {
  await page.focus('#password')
  await page.keyboard.press('Enter')
  await page.waitForSelector('#signed-in:not([hidden])')
  assert.equal(await page.evaluate(() => document.activeElement.id), 'call')
  await page.keyboard.press('Enter')
  await page.waitForFunction(() => document.querySelector('#timeline .what').textContent === 'GET /auth/me')
  for (const next of ['device', 'logout', 'lose', 'steal']) {
    await page.keyboard.press('Tab')
    assert.equal(await page.evaluate(() => document.activeElement.id), next)
  }
})

for (const colorScheme of ['light', 'dark'])
  test(`it fits a phone's width, ${colorScheme}`, async () => {
    await page.setViewportSize({ width: 360, height: 740 })
    await page.emulateMedia({ colorScheme })
    await login()
    await page.click('#device')
    await page.click('#call')
    await page.waitForTimeout(200)
    const [width, paper] = await page.evaluate(() => [document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor])
    assert.ok(width <= 360, `${width} pixels wide`)
    assert.equal(paper, colorScheme === 'dark' ? 'rgb(17, 20, 27)' : 'rgb(246, 247, 249)')
  })

test('a thief has nothing of a session that is bound to this browser', async () => {
  await page.click('#binding a')
  await page.waitForFunction(() => location.search === '?bound' && document.getElementById('password').value)
  await login()
  await page.click('#steal')
  await page.click('#replay')
  await page.waitForFunction(() => document.getElementById('notice').textContent.startsWith('The thief gets nowhere'))
  await page.locator('#timeline li.thief', { hasText: 'bound to a key' }).waitFor()
  await page.locator('#list li', { hasText: 'bound to a key of its own' }).waitFor()
  await expired()
  await page.click('#call')
  await page.waitForSelector('#timeline li.silent')
  await newestIs('GET /auth/me')
  assert.deepEqual(foreign, [])
})
