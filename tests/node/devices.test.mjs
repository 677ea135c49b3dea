// "Your devices" at URL in a real Chromium: the page and the element, in both colour schemes, on a phone and on a desk.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { launch } from './chromium.mjs'

const { URL: SERVICE } = process.env
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
const IPHONE = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1'
let browser

before(async () => {
  browser = await launch()
})
after(() => browser.close())

const post = async (path, body) => (await fetch(`${SERVICE}/auth/${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })).json()
const elsewhere = (device) => post('login', { username: 'ada', password: 'correct horse battery', device })
const refresh = (token) => post('refresh', { refresh_token: token })

/** A login whose token was copied, and found out. */
async function stolen(device) {
  const { refresh_token: first } = await elsewhere(device)
  const { refresh_token: second } = await refresh(first)
  await refresh(second)
  await refresh(first)
}

/** A page with the module, logged in. */
async function loggedIn(options = {}, { bind = false } = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.failures = []
  page.on('pageerror', (error) => page.failures.push(error.message))
  page.on('console', (message) => message.type() === 'error' && page.failures.push(message.text()))
  await page.goto(`${SERVICE}/control/page`)
  await page.waitForFunction(() => globalThis.module)
  await page.evaluate(async (bind) => {
    globalThis.session = module.createSession({ bind })
    await session.login('ada', 'correct horse battery')
  }, bind)
  return page
}

/** A page with the element. */
async function withElement(options, how) {
  const page = await loggedIn(options, how)
  page.failures.length = 0 // the server's nonce is learnt by a refusal
  await page.evaluate(async () => {
    await import('/auth/devices.js')
    globalThis.element = document.createElement('tenure-devices')
    const shown = new Promise((resolve) => element.addEventListener('shown', resolve, { once: true }))
    document.body.append(element)
    element.session = session
    await shown
  })
  return page
}

const faults = (page, of = 'html') =>
  page.evaluate(async (of) => {
    const { violations } = await axe.run(of, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    return violations.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`)
  }, of)
const overflows = (page) => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth)

for (const colorScheme of ['light', 'dark']) {
  for (const width of [320, 1280]) {
    test(`the page in ${colorScheme}, ${width} pixels wide, is for everybody`, async () => {
      await stolen(IPHONE)
      await elsewhere(`A-phone-with-a-name-${'x'.repeat(200)}`)
      const page = await loggedIn({ colorScheme, viewport: { width, height: 800 }, bypassCSP: true })
      await page.goto(`${SERVICE}/auth/devices`)
      await page.addScriptTag({ path: AXE })
      assert.equal(await page.textContent('h1'), 'Your devices')
      assert.match(await page.textContent('[role=alert]'), /a copy of this login was used/)
      assert.deepEqual(await faults(page), [])
      assert.equal(await overflows(page), false)
      const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor)
      assert.equal(background === 'rgb(255, 255, 255)', colorScheme === 'light')
      await page.context().close()
    })
  }
}

test('the page works under its own policy', async () => {
  const page = await loggedIn()
  await page.goto(`${SERVICE}/auth/devices`)
  assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('.devices')).listStyleType), 'none')
  assert.deepEqual(page.failures, [])
  await page.context().close()
})

test('the element shows the list, and ends another device', async () => {
  await elsewhere(IPHONE)
  const page = await withElement()
  const iphone = page.locator('.devices li', { hasText: 'Safari on iPhone' })
  const before = await iphone.count()
  await iphone.first().locator('button').click()
  await page.locator('[role=status]').waitFor()
  assert.match(await page.textContent('[role=status]'), /logged out/)
  assert.equal(await iphone.count(), before - 1)
  assert.equal(await page.evaluate(() => element.shadowRoot.activeElement?.role), 'status')
  await page.addScriptTag({ path: AXE })
  assert.deepEqual(await faults(page, 'tenure-devices'), [])
  assert.deepEqual(page.failures, [])
  await page.context().close()
})

test('the element of a session that is bound to a key', async () => {
  await elsewhere(IPHONE)
  const page = await withElement({}, { bind: true })
  assert.match(await page.textContent('.current .bound'), /Locked to this browser/)
  await page.click('text=Log out all other devices')
  await page.waitForFunction(() => element.shadowRoot.querySelectorAll('.devices li').length === 1)
  await page.context().close()
})

test('ending this device logs the page out, and empties the element', async () => {
  const page = await withElement()
  await page.click('.current button')
  await page.waitForFunction(() => element.shadowRoot.childElementCount === 0)
  assert.equal(await page.evaluate(() => session.user), null)
  await page.evaluate(() => session.login('ada', 'correct horse battery'))
  await page.locator('.current').waitFor()
  await page.context().close()
})

test('a server that is away costs a message, not the list', async () => {
  const page = await withElement({ viewport: { width: 390, height: 500 } })
  await page.route('**/auth/devices', (route) => route.abort())
  await page.locator('text=Log out all other devices').click() // at the end of the list
  await page.locator('[role=alert].failure').waitFor()
  assert.ok((await page.locator('[role=alert].failure').boundingBox()).y >= 0, 'it is in view')
  assert.ok((await page.locator('.devices li').count()) > 0)
  assert.equal(await page.locator('button:disabled').count(), 0)
  await page.unroute('**/auth/devices')
  await page.evaluate(() => element.reload())
  assert.equal(await page.locator('.failure').count(), 0)
  await page.context().close()
})

test('its colours are the application\'s', async () => {
  const page = await withElement()
  await page.addStyleTag({ content: 'tenure-devices { --tenure-accent: rgb(1, 2, 3) }' })
  assert.equal(await page.evaluate(() => getComputedStyle(element.shadowRoot.querySelector('.badge')).color), 'rgb(1, 2, 3)')
  await page.context().close()
})

test('under a policy that requires trusted types', async () => {
  const page = await loggedIn()
  await page.route('**/control/page', async (route) => {
    const answer = await route.fetch()
    const headers = { ...answer.headers(), 'content-security-policy': "require-trusted-types-for 'script'; trusted-types tenure-devices; style-src 'none'" }
    await route.fulfill({ response: answer, headers })
  })
  await page.reload()
  await page.waitForFunction(() => globalThis.module)
  const rows = await page.evaluate(async () => {
    await import('/auth/devices.js')
    const element = document.body.appendChild(document.createElement('tenure-devices'))
    const shown = new Promise((resolve) => element.addEventListener('shown', resolve, { once: true }))
    element.session = module.createSession()
    await shown
    return getComputedStyle(element.shadowRoot.querySelector('.devices')).listStyleType
  })
  assert.equal(rows, 'none')
  assert.deepEqual(page.failures, [])
  await page.context().close()
})
