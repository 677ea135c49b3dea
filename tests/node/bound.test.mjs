// A session that is bound to a key of the browser: everything that can be copied is carried to another one.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch } from './chromium.mjs'

const URL_ = process.env.URL
const control = async (command) => (await fetch(`${URL_}/control/${command}`)).json()
const bound = async () => (await control('bindings')).at(-1)
let browser

before(async () => (browser = await launch()))
after(() => browser.close())

async function tab(context, { prepare, bind = true } = {}) {
  const page = await context.newPage()
  if (prepare) await page.addInitScript(prepare)
  await page.goto(`${URL_}/control/page`)
  await page.waitForFunction(() => globalThis.module)
  await page.evaluate((bind) => {
    globalThis.session = module.createSession({ base: '/auth', bind })
    globalThis.heard = []
    for (const type of ['signedin', 'refreshed', 'signedout', 'unbound']) session.addEventListener(type, () => heard.push(type))
  }, bind)
  return page
}

const login = (page) => page.evaluate(() => session.login('ada', 'correct horse battery').then(({ cnf }) => Boolean(cnf)))
const call = (page) => page.evaluate(async () => (await session.fetch('/api/me?page=1')).status)
const user = (page) => page.evaluate(async () => (await session.restore())?.sub ?? null)

test('a bound session lives as any other', async () => {
  const context = await browser.newContext()
  const page = await tab(context)
  assert.equal(await login(page), true)
  assert.equal(await bound(), 'dpop')
  const other = await tab(context)
  for (let round = 0; round < 3; round++) {
    assert.deepEqual(await Promise.all([call(page), call(other)]), [200, 200])
    await control('expire')
  }
  assert.equal(await page.evaluate(async () => (await session.fetch('/api/me', { method: 'POST', body: 'text' })).status), 200)
  await page.reload()
  const again = await tab(context)
  assert.equal(await user(again), 'ada')
  await again.evaluate(() => session.logout())
  assert.equal(await user(again), null)
  const kinds = await control('kinds')
  assert.ok(!kinds.includes('stolen_token_refused') && !kinds.includes('reuse_detected'), kinds)
  await context.close()
})

test('everything that can be copied is worth nothing elsewhere', async () => {
  const mine = await browser.newContext()
  const page = await tab(mine)
  await login(page)
  const stolen = await page.evaluate(async () => ({ kept: { ...localStorage }, token: await session.token() }))
  await control('expire')
  assert.equal(await call(page), 200)
  const theirs = await browser.newContext()
  await theirs.addCookies(await mine.cookies())
  const thief = await tab(theirs, { prepare: `Object.assign(localStorage, ${JSON.stringify(stolen.kept)})` })
  for (const token of [stolen.token, await page.evaluate(() => session.token())]) {
    const status = await thief.evaluate(async (token) => (await fetch('/api/me', { headers: { Authorization: `Bearer ${token}` } })).status, token)
    assert.equal(status, 401)
  }
  assert.equal(await user(thief), null)
  assert.ok((await control('kinds')).includes('stolen_token_refused'))
  const plain = await tab(theirs, { bind: false })
  assert.equal(await user(plain), null)
  await control('expire')
  assert.equal(await call(page), 200)
  const key = await page.evaluate(async () => {
    const opening = indexedDB.open('tenure', 1)
    await new Promise((resolve) => (opening.onsuccess = resolve))
    const all = opening.result.transaction('keys').objectStore('keys').getAll()
    await new Promise((resolve) => (all.onsuccess = resolve))
    return crypto.subtle.exportKey('jwk', all.result[0].privateKey).catch((error) => error.name)
  })
  assert.equal(key, 'InvalidAccessError')
  await mine.close()
  await theirs.close()
})

test('who is logged in moves over at the next refresh', async () => {
  const context = await browser.newContext()
  const before = await tab(context, { bind: false })
  assert.equal(await login(before), false)
  await before.close()
  const page = await tab(context)
  assert.equal(await user(page), 'ada')
  assert.equal(await bound(), 'dpop')
  assert.equal(await call(page), 200)
  await context.close()
})

test('where no key can be kept, the session stays unbound, and says so', async () => {
  const context = await browser.newContext()
  const page = await tab(context, { prepare: () => Object.defineProperty(globalThis, 'indexedDB', { value: undefined }) })
  assert.equal(await login(page), false)
  await control('expire')
  assert.equal(await call(page), 200)
  assert.ok((await page.evaluate(() => heard)).includes('unbound'))
  await context.close()
})
