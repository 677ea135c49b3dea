// examples/nextjs, built, at SITE, in front of an API, in a real Chromium. The clock of both is moved by `later`.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, before, beforeEach, test } from 'node:test'
import { launch } from './chromium.mjs'

const { SITE, API } = process.env
let browser, context, page, next, visited
let ahead = 0

const control = async (command) => (await fetch(`${API}/control/${command}`)).json()
const renewals = async () => {
  const { refreshed = 0, retried = 0 } = await control('counts')
  return { refreshed, retried }
}
const later = async (seconds) => {
  ahead += 1000 * seconds
  await control(`later?seconds=${seconds}`)
  await context.setExtraHTTPHeaders({ 'x-test-ahead': String(ahead) })
  await context.clearCookies({ name: 'tenure-bounced' })
}
/** The twelve notes, once all have arrived and are in their places. */
const notes = async (of = page) => {
  await of.waitForFunction(() => {
    const items = [...document.querySelectorAll('li')]
    return items.length === 12 && !items.some(({ textContent }) => textContent === '…')
  })
  return of.locator('li').allTextContents()
}
const ALL = Array.from({ length: 12 }, (_, number) => `note ${number} of ada`)

before(async () => {
  const environment = { ...process.env, SITE, API, NEXT_TELEMETRY_DISABLED: '1' }
  next = spawn(process.execPath, ['../node_modules/next/dist/bin/next', 'start', '-p', new URL(SITE).port], { cwd: 'nextjs', env: environment, stdio: 'inherit' })
  for (let tries = 0; tries < 200 && !(await fetch(`${SITE}/login`).catch(() => null)); tries++) await new Promise((resolve) => setTimeout(resolve, 100))
  browser = await launch()
})
after(async () => {
  next.kill()
  await browser.close()
})
beforeEach(async () => {
  await context?.close()
  context = await browser.newContext()
  context.setDefaultTimeout(8000)
  page = await context.newPage()
  visited = []
  page.on('response', (response) => visited.push(`${response.status()} ${new URL(response.url()).pathname}`))
  await later(0)
})

async function login(path = '/notes') {
  await page.goto(`${SITE}${path}`)
  await page.waitForURL('**/login?**')
  await page.fill('[name=username]', 'ada')
  await page.fill('[name=password]', 'correct horse battery')
  await page.click('button')
  await page.waitForURL(`${SITE}${path}`)
  assert.deepEqual(await notes(), ALL)
  await context.clearCookies({ name: 'tenure-bounced' })
  visited.length = 0
}

test('a stranger logs in, and is where they wanted to go', async () => {
  await login('/notes?tab=1')
})

test('twelve components rendered in parallel at expiry: one refresh, nobody is logged out', async () => {
  await login()
  for (let round = 0; round < 3; round++) {
    const before = await renewals()
    await later(601)
    visited.length = 0
    await page.goto(`${SITE}/notes`)
    assert.deepEqual(await notes(), ALL)
    assert.deepEqual(visited.filter((one) => /notes|auth/.test(one)), ['303 /notes', '303 /auth/continue', '200 /notes'])
    assert.deepEqual(await renewals(), { ...before, refreshed: before.refreshed + 1 })
  }
})

test('twelve components that fetch in the browser at expiry: one refresh', async () => {
  await login('/live')
  for (let round = 0; round < 3; round++) {
    const before = await renewals()
    await later(601)
    visited.length = 0
    await page.evaluate(() => dispatchEvent(new Event('focus')))
    const answered = () => visited.filter((one) => one.startsWith('200 /api')).length
    for (let tries = 0; tries < 100 && answered() < 12; tries++) await new Promise((resolve) => setTimeout(resolve, 50))
    assert.equal(answered(), 12)
    assert.ok(visited.filter((one) => one.startsWith('401 /api')).length > 0)
    assert.deepEqual(await notes(), ALL)
    assert.deepEqual(await renewals(), { ...before, refreshed: before.refreshed + 1 })
  }
})

test('a link that Next.js follows by itself, after the token has expired', async () => {
  await login('/live')
  await later(601)
  await page.click('text=Notes')
  await page.waitForURL(`${SITE}/notes`)
  assert.deepEqual(await notes(), ALL)
})

test('twelve tabs at expiry are all served, and stay logged in', async () => {
  await login()
  await later(601)
  const tabs = await Promise.all(Array.from({ length: 12 }, () => context.newPage()))
  await Promise.all(tabs.map((tab) => tab.goto(`${SITE}/notes`)))
  for (const tab of tabs) assert.deepEqual(await notes(tab), ALL)
  assert.equal((await control('counts')).reuse_detected, undefined)
})

test('a session that was ended elsewhere is at an end here, at once', async () => {
  await login()
  await control('end')
  await new Promise((resolve) => setTimeout(resolve, 600)) // the feed is told within a fraction of a second
  await page.goto(`${SITE}/notes`)
  await page.waitForURL('**/login?**')
})
