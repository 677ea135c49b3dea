// The browser module where the platform is narrower, in the browser that ENGINE names, against a real service at URL.
import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import { start } from './engines.mjs'

const URL_ = process.env.URL
const PASSWORD = 'correct horse battery'
let engine, browser

const control = async (command) => (await fetch(`${URL_}/control/${command}`)).json()
const counted = async (path) => (await control('counts'))[path] || 0
const refreshes = () => counted('/auth/refresh')
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

before(async () => {
  engine = await start[process.env.ENGINE]()
})
after(() => engine.close())
beforeEach(async () => {
  browser = await engine.fresh()
})
afterEach(() => browser.close())

/** A tab with a session. prepare: what is done to the page before, as a function. */
async function tab({ prepare = () => {}, options = {} } = {}) {
  const page = await browser.tab()
  await load(page, prepare, options)
  return page
}

async function load(page, prepare = () => {}, options = {}) {
  await page.goto(`${URL_}/control/page`)
  for (let tries = 0; !(await page.evaluate(() => !!globalThis.module)); tries++) {
    assert.ok(tries < 100)
    await pause(30)
  }
  await page.evaluate(prepare)
  await page.evaluate((how) => {
    globalThis.session = module.createSession({ base: '/auth', ...how })
    globalThis.heard = []
    for (const type of ['signedin', 'refreshed', 'signedout', 'refused'])
      session.addEventListener(type, ({ detail }) => heard.push(detail.reason ? `${type}: ${detail.reason}` : type))
  }, options)
}

const login = (page, name = 'ada') => page.evaluate((who, password) => session.login(who, password).then(({ sub }) => sub), name, PASSWORD)
const call = (page, path = '/api/me') => page.evaluate(async (url) => session.fetch(url).then((answer) => answer.status, (error) => error.name), path)
const user = (page) => page.evaluate(() => session.restore().then((who) => who?.sub ?? null))
const heard = (page) => page.evaluate(() => heard)
const until = async (probe, wanted) => {
  for (let tries = 0; tries < 100; tries++) {
    if (JSON.stringify(await probe()) === JSON.stringify(wanted)) return
    await pause(30)
  }
  assert.deepEqual(await probe(), wanted)
}

const denied = () => {
  Object.defineProperty(globalThis, 'localStorage', { get: () => { throw new DOMException('denied', 'SecurityError') } })
}
const full = () => {
  Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }
}
const nothing = () => {
  Object.defineProperty(globalThis, 'localStorage', { get: () => { throw new DOMException('denied', 'SecurityError') } })
  Object.defineProperty(navigator, 'locks', { value: undefined })
  globalThis.BroadcastChannel = class { constructor() { throw new DOMException('denied', 'SecurityError') } }
}

test('log in, expire, lose an answer, load anew, log out', async () => {
  const page = await tab()
  assert.equal(await login(page), 'ada')
  assert.equal(await call(page), 200)
  for (const fault of ['lose', '503', 'late']) {
    await control('expire')
    await control(`fault/${fault}`)
    assert.equal(await call(page), 200)
  }
  await load(page)
  assert.equal(await user(page), 'ada')
  await page.evaluate(() => session.logout())
  assert.equal(await user(page), null)
  assert.ok(!(await browser.cookies()).includes('tenure-refresh'))
  assert.ok(!(await control('kinds')).includes('reuse_detected'))
})

test('many requests in three tabs at expiry are one refresh', async () => {
  const tabs = [await tab()]
  await login(tabs[0])
  tabs.push(await tab(), await tab())
  for (const page of tabs) assert.equal(await call(page), 200)
  for (let round = 0; round < 3; round++) {
    const before = await refreshes()
    await control('expire')
    for (const page of tabs)
      await page.evaluate(() => {
        globalThis.answers = Promise.all(Array.from({ length: 10 }, () => session.fetch('/api/me')))
      })
    for (const page of tabs)
      assert.deepEqual(await page.evaluate(async () => [...new Set((await answers).map(({ status }) => status))]), [200])
    assert.equal(await refreshes(), before + 1)
  }
})

for (const [what, prepare] of Object.entries({ denied, full, nothing }))
  test(`storage is ${what}: log-in, requests, refresh and log-out work`, async () => {
    const page = await tab({ prepare })
    assert.equal(await login(page), 'ada')
    await control('expire')
    await control('fault/lose')
    assert.equal(await call(page), 200)
    await load(page, prepare)
    assert.equal(await user(page), 'ada')
    await page.evaluate(() => session.logout())
    assert.equal(await user(page), null)
    assert.ok(!(await control('kinds')).includes('reuse_detected'))
  })

test('what somebody else has left in the storage is no matter', async () => {
  const page = await tab({ prepare: () => localStorage.setItem(`tenure ${location.origin}/auth`, '{broken') })
  assert.equal(await login(page), 'ada')
  await control('expire')
  assert.equal(await call(page), 200)
})

for (const kind of ['Worker', 'SharedWorker', 'serviceWorker'])
  test(`in a ${kind}, beside a page`, async () => {
    const page = await tab()
    await login(page)
    await page.evaluate(async (how) => {
      if (how === 'serviceWorker') {
        const made = await navigator.serviceWorker
          .register('/control/worker.js', { type: 'module' })
          .catch(() => navigator.serviceWorker.register('/control/bundled.js')) // Firefox ESR 140 has no modules there
        await navigator.serviceWorker.ready
        globalThis.ask = (what) =>
          new Promise((resolve) => {
            const { port1, port2 } = new MessageChannel()
            port1.onmessage = ({ data }) => resolve(data)
            made.active.postMessage(what, [port2])
          })
        return
      }
      const made = how === 'Worker' ? new Worker('/control/worker.js', { type: 'module' }) : new SharedWorker('/control/worker.js', { type: 'module' })
      const port = made.port || made
      globalThis.ask = (what) =>
        new Promise((resolve) => {
          port.onmessage = ({ data }) => resolve(data)
          port.postMessage(what)
        })
    }, kind)
    const ask = (what) => page.evaluate((name) => ask(name), what)
    assert.equal(await ask('storage'), 'undefined')
    assert.equal(await ask('user'), 'ada')
    assert.equal(await ask('call'), 200)
    // An answer is lost to the page, which gives up: the worker sends the same attempt again, and is believed.
    await control('expire')
    for (let n = 0; n < 4; n++) await control('fault/lose')
    await page.evaluate(async () => session.renewed(await session.token()).catch(() => {}))
    assert.equal(await ask('call'), 200)
    assert.ok(!(await control('kinds')).slice(-12).includes('reuse_detected'))
    assert.equal(await call(page), 200)
    await control('expire')
    assert.equal(await ask('call'), 200)
    assert.equal(await call(page), 200)
    await ask('logout')
    assert.equal(await user(page), null)
    await page.evaluate(async () => {
      for (const one of await navigator.serviceWorker.getRegistrations()) await one.unregister()
    })
  })

test('a log-out that the server has not heard of is remembered, and told first', async () => {
  const page = await tab()
  await login(page)
  await control('deaf/3')
  const before = await counted('/auth/logout')
  await page.evaluate(() => session.logout())
  assert.equal(await user(page), null)
  await load(page) // the cookie is still there
  assert.equal(await user(page), null)
  assert.equal(await call(page), 'SignedOut')
  assert.equal((await counted('/auth/logout')) - before, 4)
  assert.equal((await control('kinds')).at(-1), 'revoked')
  assert.equal(await user(page), null)
  assert.equal((await counted('/auth/logout')) - before, 4)
  assert.equal(await login(page, 'bob'), 'bob')
  assert.equal(await call(page), 200)
})

test('somebody else who logs in before the server has heard is not logged out', async () => {
  const page = await tab()
  await login(page)
  await control('deaf/1')
  await page.evaluate(() => session.logout())
  assert.equal(await login(page, 'bob'), 'bob')
  await load(page)
  assert.equal(await user(page), 'bob')
})

test('a page that is closed in the moment of logging out', async () => {
  const page = await tab()
  await login(page)
  const other = await browser.tab()
  await page.evaluate(() => void session.logout())
  await page.close()
  await until(async () => (await control('kinds')).at(-1), 'revoked')
  await load(other)
  assert.equal(await user(other), null)
})

test('a resource that refuses every token costs one refresh, in all tabs', async () => {
  const tabs = [await tab(), await tab()]
  await login(tabs[0])
  for (const page of tabs) assert.equal(await call(page), 200)
  const before = await refreshes()
  for (let round = 0; round < 10; round++) for (const page of tabs) assert.equal(await call(page, '/api/refuses'), 401)
  assert.equal((await refreshes()) - before, 1)
  assert.equal((await heard(tabs[0])).filter((one) => one === 'refused').length, 1)
  assert.equal(await call(tabs[1]), 200)
})

test('of another origin, a bare 401 to a request that carried the token is understood', async () => {
  const elsewhere = URL_.replace('127.0.0.1', 'localhost')
  const page = await tab({ options: { origins: [elsewhere] } })
  await login(page)
  assert.equal(await call(page, `${elsewhere}/api/cors`), 200)
  await control('expire')
  assert.equal(await call(page, `${elsewhere}/api/cors`), 200)
})

test('a lock that is never given back is waited for once', async () => {
  const page = await tab()
  await login(page)
  await page.evaluate(() => void navigator.locks.request(`tenure ${location.origin}/auth`, () => new Promise(() => {})))
  const lasted = []
  for (let round = 0; round < 3; round++) {
    await control('expire')
    const begun = Date.now()
    assert.equal(await call(page), 200)
    lasted.push(Date.now() - begun)
  }
  assert.ok(lasted[0] < 8000 && lasted[1] < 1000 && lasted[2] < 1000, String(lasted))
})

test('while the token is good it is used, and nobody tries again for a moment', async () => {
  const page = await tab({ prepare: () => (globalThis.now = performance.now.bind(performance)) })
  await login(page)
  await page.evaluate(() => (performance.now = () => now() + 575000)) // about to expire
  for (let n = 0; n < 4; n++) await control('fault/503')
  const before = await refreshes()
  assert.equal(await call(page), 200)
  assert.equal(await call(page), 200)
  assert.equal((await refreshes()) - before, 4)
})

test('a token for whatever is not fetch', async () => {
  const page = await tab()
  await login(page)
  const before = await refreshes()
  const tokens = await page.evaluate(async () => {
    const first = await session.token()
    const second = await session.renewed(first)
    return [first !== second, second === (await session.token()), second === (await session.renewed(first))]
  })
  assert.deepEqual(tokens, [true, true, true])
  assert.equal((await refreshes()) - before, 1)
})
