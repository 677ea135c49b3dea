// Pages of a site at PORT in a real Chromium whose scripts are switched off, but for one test.
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { launch } from './chromium.mjs'

const SITE = `http://127.0.0.1:${process.env.PORT}`
const OTHER_SITE = `http://localhost:${process.env.PORT}` // the same server, but to a browser another site
let browser, context, page, visited

before(async () => {
  browser = await launch()
})
after(() => browser.close())
beforeEach(async () => {
  await context?.close()
  context = await browser.newContext({ javaScriptEnabled: false })
  page = await context.newPage()
  visited = []
  page.on('response', (response) => visited.push(`${response.status()} ${new URL(response.url()).pathname}`))
})

const later = async (seconds) => {
  await fetch(`${SITE}/later?seconds=${seconds}`) // moves the site's clock, not the browser's
  await context.clearCookies({ name: 'tenure-bounced' })
}
const said = (of = page) => of.textContent('p')
const login = async () => {
  await page.goto(`${SITE}/page`)
  await page.waitForURL('**/enter?**')
  await page.click('text=Log in')
  await page.waitForURL(`${SITE}/page`)
  visited.length = 0
}

test('scripts are off', async () => {
  await page.setContent('<p>off</p><script>document.querySelector("p").textContent = "on"</script>')
  assert.equal(await said(), 'off')
})

test('a stranger logs in, and is where they wanted to go', async () => {
  await page.goto(`${SITE}/page?q=7`)
  await page.waitForURL('**/enter?**')
  assert.equal(new URL(page.url()).searchParams.get('next'), '/page?q=7')
  await page.click('text=Log in')
  await page.waitForURL(`${SITE}/page?q=7`)
  assert.equal(await said(), 'ada 7')
})

test('an expired token is renewed by one bounce, and nobody sees it', async () => {
  await login()
  await later(601)
  await page.goto(`${SITE}/page?q=8`)
  assert.equal(await said(), 'ada 8')
  assert.equal(page.url(), `${SITE}/page?q=8`)
  assert.deepEqual(visited, ['303 /page', '303 /auth/continue', '200 /page'])
  await page.goto(`${SITE}/page`)
  assert.equal(visited.length, 4)
})

test('the refresh token never leaves its prefix, and no script could read either', async () => {
  await login()
  await page.goto(`${SITE}/cookies`)
  assert.match(await page.textContent('body'), /tenure-access/)
  assert.doesNotMatch(await page.textContent('body'), /tenure-refresh/)
  const kept = (await context.cookies()).filter(({ name }) => ['tenure-access', 'tenure-refresh'].includes(name))
  assert.deepEqual(kept.map(({ httpOnly, sameSite }) => [httpOnly, sameSite]).sort(), [[true, 'Lax'], [true, 'Strict']])
})

test('a link on another site leads to a page that knows its reader, also after the token has expired', async () => {
  await login()
  for (const seconds of [0, 601]) {
    await later(seconds)
    await page.goto(`${OTHER_SITE}/elsewhere`)
    await page.click('text=a link')
    await page.waitForURL(`${SITE}/page`)
    assert.equal(await said(), 'ada ')
  }
})

test('a form of the site works, one of another site changes nothing', async () => {
  await login()
  await page.click('text=Change')
  assert.equal(await said(), 'changed by ada')
  await page.goto(`${OTHER_SITE}/elsewhere`)
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.request().method() === 'POST'),
    page.click('text=a trap'),
  ])
  assert.ok([401, 403].includes(answer.status()), String(answer.status()))
})

test('twelve tabs at expiry are all served, and stay logged in', async () => {
  await login()
  await later(601)
  const tabs = await Promise.all(Array.from({ length: 12 }, () => context.newPage()))
  await Promise.all(tabs.map((tab) => tab.goto(`${SITE}/page`)))
  assert.deepEqual(new Set(await Promise.all(tabs.map(said))), new Set(['ada ']))
  await later(601)
  await page.goto(`${SITE}/page`)
  assert.equal(await said(), 'ada ')
})

test('twelve tabs whose pages have a module are all served, and stay logged in', async () => {
  await login()
  const modern = await browser.newContext({ storageState: await context.storageState() })
  const open = async () => {
    await fetch(`${SITE}/later?seconds=601`)
    await modern.clearCookies({ name: 'tenure-bounced' })
    const tabs = await Promise.all(Array.from({ length: 12 }, () => modern.newPage()))
    await Promise.all(tabs.map((tab) => tab.goto(`${SITE}/page`)))
    await Promise.all(tabs.map((tab) => tab.waitForFunction(() => document.title === 'ada')))
    await Promise.all(tabs.map((tab) => tab.close()))
  }
  await open()
  await open()
  await modern.close()
})

test('the list of devices ends another one, by keyboard, also if it was open for long', async () => {
  await login()
  const other = await browser.newContext({ javaScriptEnabled: false })
  const there = await other.newPage()
  await later(1) // than all of the tests before
  await there.goto(`${SITE}/page`)
  await there.click('text=Log in')
  await page.goto(`${SITE}/auth/devices`)
  const before = await page.locator('.devices li').count()
  assert.equal(await page.locator('.devices li.current').count(), 1)
  await later(601)
  await page.locator('.devices li:nth-child(2) button').focus()
  await page.keyboard.press('Enter')
  await page.waitForURL('**/auth/devices?again=*')
  assert.equal(await page.locator('.devices li').count(), before)
  await page.keyboard.press('Tab')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.waitForURL(`${SITE}/auth/devices`)
  assert.match(await page.textContent('[role=status]'), /One device has been logged out/)
  assert.equal(await page.locator('.devices li').count(), before - 1)
  await later(601)
  await other.clearCookies({ name: 'tenure-bounced' })
  await there.goto(`${SITE}/page`)
  await there.waitForURL('**/enter?**')
  await other.close()
  await page.goto(`${SITE}/auth/devices`)
  await page.click('.current button')
  assert.match(await page.textContent('h1'), /You are logged out/)
  await page.goto(`${SITE}/page`)
  await page.waitForURL('**/enter?**')
})

test('without its cookies the browser ends at the login page, and in no loop', async () => {
  await login()
  await context.clearCookies()
  await page.goto(`${SITE}/page`)
  await page.waitForURL('**/enter?**')
  assert.ok(visited.length < 8, visited.join(', '))
})
