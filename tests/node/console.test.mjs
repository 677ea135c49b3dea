// The operators' console at CONSOLE in a real Chromium; the service is at URL.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { after, before, test } from 'node:test'
import { launch } from './chromium.mjs'

const { URL: SERVICE, CONSOLE, KEY } = process.env
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')
let browser

before(async () => {
  browser = await launch()
})
after(() => browser.close())

async function operator(options = {}) {
  const context = await browser.newContext(options)
  const page = await context.newPage()
  page.failures = []
  page.on('pageerror', (error) => page.failures.push(error.message))
  page.on('console', (message) => message.type() === 'error' && page.failures.push(message.text()))
  page.on('request', (request) => request.url().startsWith(CONSOLE) || page.failures.push(`elsewhere: ${request.url()}`))
  await page.goto(CONSOLE)
  await page.fill('#api_key', KEY)
  await page.keyboard.press('Enter')
  await page.waitForSelector('.numbers')
  return page
}

const login = (subject) =>
  fetch(`${SERVICE}/admin/sessions`, { method: 'POST', headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${KEY}` }, body: JSON.stringify({ subject, device: 'x' }) })

for (const colorScheme of ['light', 'dark']) {
  for (const width of [320, 1280]) {
    test(`every page in ${colorScheme}, ${width} pixels wide, is for everybody`, async () => {
      const page = await operator({ colorScheme, viewport: { width, height: 900 }, bypassCSP: true })
      for (const path of ['', 'person?subject=erin', 'keys', 'person?subject=', 'login']) {
        await page.goto(`${CONSOLE}/${path}`)
        await page.addScriptTag({ path: AXE })
        const found = await page.evaluate(async () => {
          const { violations } = await axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
          return violations.map(({ id, nodes }) => `${id}: ${nodes[0].html} ${nodes[0].failureSummary}`)
        })
        assert.deepEqual(found, [], path)
        const wide = await page.evaluate(() =>
          [...document.querySelectorAll('main > *, main > * > *')].filter((part) => part.getBoundingClientRect().right > innerWidth).map((part) => part.outerHTML.slice(0, 500))
        )
        assert.deepEqual(wide, [], path)
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth), false, path)
      }
      await page.context().close()
    })
  }
}

test('events come in as they happen, and the numbers follow', async () => {
  const page = await operator()
  await page.clock.install()
  await page.goto(CONSOLE)
  const before = Number((await page.textContent('.numbers dd')).replace('≈', ''))
  await page.waitForTimeout(300)
  await login('frank')
  await page.locator('#feed li', { hasText: 'frank' }).first().waitFor()
  await page.clock.runFor(11_000)
  await page.waitForFunction((before) => Number(document.querySelector('.numbers dd').textContent.replace('≈', '')) > before, before)
  assert.deepEqual(page.failures, [])
  await page.context().close()
})

test('a person is found and their sessions are ended, by keyboard', async () => {
  await login('grace')
  const page = await operator()
  await page.locator('#subject').focus()
  await page.keyboard.type('grace')
  await page.keyboard.press('Enter')
  await page.waitForURL('**/person?subject=grace')
  await page.locator('text=End all').focus()
  await page.keyboard.press('Enter')
  await page.locator('text=Nobody of this name is logged in').waitFor()
  assert.deepEqual(page.failures, [])
  await page.context().close()
})
