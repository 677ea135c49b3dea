// The browser module in a real Chromium, with several tabs and injected faults, against a real service at URL.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import { launch } from './chromium.mjs'

const URL_ = process.env.URL
const PASSWORD = 'correct horse battery'
let browser, context

const control = async (command) => (await fetch(`${URL_}/control/${command}`)).json()
const refreshes = async () => (await control('counts'))['/auth/refresh'] || 0

before(async () => {
  browser = await launch()
})
after(() => browser.close())
beforeEach(async () => {
  await context?.close()
  context = await browser.newContext()
})

/** A tab with a session, which notes its events. */
async function tab(page) {
  page ||= await context.newPage()
  await page.goto(`${URL_}/control/page`)
  await page.waitForFunction(() => globalThis.module)
  await page.evaluate(() => {
    globalThis.session = module.createSession({ base: '/auth' })
    globalThis.heard = []
    for (const type of ['signedin', 'refreshed', 'signedout'])
      session.addEventListener(type, ({ detail }) => heard.push(detail.reason ? `${type}: ${detail.reason}` : type))
  })
  return page
}

const login = (page) => page.evaluate((password) => session.login('ada', password, { device: 'tab' }), PASSWORD)
const call = (page) => page.evaluate(async () => (await session.fetch('/api/me')).status)
const heard = (page) => page.evaluate(() => heard)
const until = async (probe, wanted) => {
  for (let tries = 0; tries < 100; tries++) {
    if (JSON.stringify(await probe()) === JSON.stringify(wanted)) return
    await new Promise((resolve) => setTimeout(resolve, 30))
  }
  assert.deepEqual(await probe(), wanted)
}

test('the refresh token is in a cookie that no script sees, the access token nowhere but in memory', async () => {
  const page = await tab()
  assert.equal((await login(page)).sub, 'ada')
  const cookie = (await context.cookies()).find(({ name }) => name === 'tenure-refresh')
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite, cookie.path], ['tenure-refresh', true, 'Strict', '/auth'])
  assert.match(cookie.value, /^tnr1_/)
  assert.equal(await page.evaluate(() => document.cookie), '')
  const kept = await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))
  assert.doesNotMatch(kept, /tnr1_|eyJ/)
})

test('an expired access token is renewed and the request repeated', async () => {
  const page = await tab()
  await login(page)
  assert.equal(await call(page), 200)
  const before = await refreshes()
  await control('expire')
  assert.equal(await page.evaluate(async () => (await (await session.fetch('/api/me', { method: 'POST', body: 'x'.repeat(99) })).json()).bytes), 99)
  assert.equal(await refreshes(), before + 1)
  assert.deepEqual(await heard(page), ['signedin', 'refreshed'])
})

test('a hundred requests in five tabs at expiry are one refresh', async () => {
  const tabs = [await tab()]
  await login(tabs[0])
  for (let n = 1; n < 5; n++) tabs.push(await tab())
  for (const page of tabs) assert.equal(await call(page), 200)
  for (let round = 0; round < 3; round++) {
    const before = await refreshes()
    await control('expire')
    const statuses = await Promise.all(
      tabs.map((page) =>
        page.evaluate(async () => {
          const answers = await Promise.all(Array.from({ length: 20 }, () => session.fetch('/api/me')))
          return [...new Set(answers.map((answer) => answer.status))]
        }),
      ),
    )
    assert.deepEqual(statuses, Array(5).fill([200]))
    assert.equal(await refreshes(), before + 1)
  }
})

test('without Web Locks the attempt key catches the race', async () => {
  const tabs = [await tab()]
  await login(tabs[0])
  tabs.push(await tab())
  for (const page of tabs) {
    await page.evaluate(() => Object.defineProperty(navigator, 'locks', { value: undefined }))
    assert.equal(await call(page), 200)
  }
  for (let round = 0; round < 5; round++) {
    await control('expire')
    assert.deepEqual(await Promise.all(tabs.map(call)), [200, 200])
  }
  assert.ok(!(await control('kinds')).includes('reuse_detected'))
})

for (const fault of ['lose', '503', 'late'])
  test(`a refresh that meets the fault "${fault}" is survived`, async () => {
    const page = await tab()
    await login(page)
    await control('expire')
    await control(`fault/${fault}`)
    await control(`fault/${fault}`)
    assert.equal(await call(page), 200)
    await control('expire')
    assert.equal(await call(page), 200)
    assert.ok(!(await control('kinds')).includes('reuse_detected'))
  })

test('a reload in mid-refresh is survived', async () => {
  const page = await tab()
  await login(page)
  await control('expire')
  await control('fault/hang')
  await page.evaluate(() => void session.fetch('/api/me').catch(() => {}))
  const before = await refreshes()
  await until(async () => (await refreshes()) > before - 1, true)
  await page.waitForFunction(() => JSON.parse(localStorage[Object.keys(localStorage)[0]]).attempt)
  await until(async () => (await control('kinds')).at(-1), 'refreshed')
  await tab(page) // reloads
  assert.equal((await page.evaluate(() => session.restore())).sub, 'ada')
  assert.equal((await control('kinds')).at(-1), 'retried')
  assert.equal(await page.evaluate(() => JSON.parse(localStorage[Object.keys(localStorage)[0]]).attempt), undefined)
})

test('a tab that is frozen with the lock does not starve the others', async () => {
  const frozen = await tab()
  await login(frozen)
  const page = await tab()
  assert.equal(await call(page), 200)
  await frozen.evaluate(() => void navigator.locks.request(`tenure ${location.origin}/auth`, () => new Promise(() => {})))
  await control('expire')
  const begun = Date.now()
  assert.equal(await call(page), 200)
  assert.ok(Date.now() - begun < 8000)
})

test('signing out and in reaches all tabs', async () => {
  const [one, other] = [await tab(), await tab()]
  await login(one)
  await until(() => heard(other), ['signedin'])
  assert.equal(await other.evaluate(() => session.user.sub), 'ada')
  await other.evaluate(() => session.logout())
  await until(() => heard(one), ['signedin', 'signedout: logged_out'])
  assert.equal(await one.evaluate(() => session.user), null)
  const kept = (await context.cookies()).map(({ name }) => name)
  assert.deepEqual(kept, ['tenure-device']) // says that somebody was here, not who is
  assert.equal(await one.evaluate(() => session.fetch('/api/me').catch((error) => error.name)), 'SignedOut')
})

test('another user who signs in in another tab is who all tabs are from then on', async () => {
  const [one, other] = [await tab(), await tab()]
  await login(one)
  await other.evaluate((password) => session.login('bob', password), PASSWORD)
  await until(() => one.evaluate(() => session.user.sub), 'bob')
  assert.deepEqual((await heard(one)).at(-1), 'signedin')
  await control('expire')
  assert.equal(await one.evaluate(async () => (await (await session.fetch('/api/me')).json()).sub), 'bob')
})

test('a refresh in flight at log-out brings nobody back', async () => {
  const page = await tab()
  await login(page)
  await control('expire')
  await control('fault/late')
  const outcome = await page.evaluate(async () => {
    const request = session.fetch('/api/me').then((answer) => answer.status, (error) => error.name)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await session.logout()
    return [await request, session.user]
  })
  assert.deepEqual(outcome, ['SignedOut', null])
  assert.equal((await control('kinds')).at(-1), 'revoked')
})

test('a session that was ended elsewhere is told with its reason', async () => {
  const page = await tab()
  await login(page)
  await control('revoke')
  assert.equal(await page.evaluate(() => session.fetch('/api/me').catch((error) => error.reason)), 'revoked')
  assert.deepEqual(await heard(page), ['signedin', 'signedout: revoked'])
})

test('offline, and back', async () => {
  const page = await tab()
  await login(page)
  await control('expire')
  await context.setOffline(true)
  assert.equal(await page.evaluate(() => session.fetch('/api/me').catch((error) => error.name)), 'TypeError')
  await context.setOffline(false)
  assert.equal(await call(page), 200)
  assert.ok(!(await heard(page)).includes('signedout'))
})

test('a wall clock that jumps changes nothing', async () => {
  const page = await tab()
  await login(page)
  const before = await refreshes()
  await page.evaluate(() => {
    const real = Date.now
    Date.now = () => real() + 1e10
  })
  assert.equal(await call(page), 200)
  assert.equal(await refreshes(), before)
})

test('a tab in the background, after a sleep that its own clock has not noticed', async () => {
  const page = await tab()
  await login(page)
  await (await tab()).bringToFront()
  await control('expire') // performance.now() stands still
  assert.equal(await call(page), 200)
  assert.deepEqual((await heard(page)).at(-1), 'refreshed')
})

test('after the back-forward cache the page asks who it is', async () => {
  const page = await tab()
  await login(page)
  const other = await tab()
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true })))
  await other.evaluate(() => session.restore())
  await other.evaluate(() => session.logout())
  assert.equal(await page.evaluate(() => session.user.sub), 'ada') // it has heard nothing
  await page.evaluate(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })))
  await until(() => page.evaluate(() => session.user), null)
})

test('an aborted request is aborted, and the refresh that others wait for goes on', async () => {
  const page = await tab()
  await login(page)
  await control('expire')
  await control('fault/late')
  const outcome = await page.evaluate(async () => {
    const control = new AbortController()
    const aborted = session.fetch('/api/me', { signal: control.signal }).catch((error) => error.name)
    const patient = session.fetch('/api/me').then((answer) => answer.status)
    await new Promise((resolve) => setTimeout(resolve, 100))
    control.abort()
    return [await aborted, await patient]
  })
  assert.deepEqual(outcome, ['AbortError', 200])
})

test('no token leaves to another origin, nor follows a redirect there', async () => {
  const page = await tab()
  await login(page)
  const elsewhere = URL_.replace('127.0.0.1', 'localhost')
  const [request] = await Promise.all([
    page.waitForRequest(`${elsewhere}/api/seen`),
    page.evaluate((url) => session.fetch(url, { mode: 'no-cors' }).catch(() => {}), `${elsewhere}/api/seen`),
  ])
  assert.equal((await request.allHeaders()).authorization, undefined)
})

test('the list of sessions, and ending from it', async () => {
  const page = await tab()
  await login(page)
  await login(page)
  const listed = await page.evaluate(() => session.sessions())
  assert.deepEqual(listed.filter((one) => one.current).length, 1)
  const another = listed.find((one) => !one.current)
  await page.evaluate((id) => session.endSession(id), another.id)
  await page.evaluate(() => session.endOthers())
  assert.equal((await page.evaluate(() => session.sessions())).length, 1)
})

test('wrong credentials', async () => {
  const page = await tab()
  const said = await page.evaluate(() => session.login('ada', 'wrong').catch((error) => [error.name, error.reason]))
  assert.deepEqual(said, ['SignedOut', 'The user name or the password is wrong.'])
  assert.equal(await page.evaluate(() => session.restore()), null)
})

test('three tabs, short-lived access tokens, ten minutes of simulated use', async () => {
  const tabs = [await tab()]
  await login(tabs[0])
  tabs.push(await tab(), await tab())
  for (let minute = 0; minute < 10; minute++) {
    await control('expire')
    assert.deepEqual(await Promise.all(tabs.map(call)), [200, 200, 200])
    if (minute % 3 === 0) await tab(tabs[minute % 3]) // reloads one
  }
  const kinds = await control('kinds')
  assert.ok(!kinds.includes('reuse_detected') && !kinds.includes('forged_token_refused'))
})

test('the README does what it says', async () => {
  const page = await tab()
  const said = []
  page.on('console', (message) => message.type() === 'log' && said.push(message.text()))
  const snippet = readFileSync(new URL('../../js/README.md', import.meta.url), 'utf8').match(/```js\n(.*?)```/s)[1]
  await page.addScriptTag({ type: 'module', content: `${snippet}\nglobalThis.done = true` })
  await page.waitForFunction(() => globalThis.done)
  assert.match(said[0], /^ada /)
  assert.equal(said[1], 'please sign in logged_out')
})

test('not to be remembered is a cookie that ends with the browser', async () => {
  const page = await tab()
  await page.evaluate((password) => session.login('ada', password, { remember: false }), PASSWORD)
  for (let round = 0; round < 2; round++) {
    const ends = (await context.cookies()).filter(({ name }) => /refresh|session/.test(name)).map(({ expires }) => expires)
    assert.deepEqual(ends, [-1, -1])
    await control('expire')
    assert.equal(await call(page), 200)
  }
})

test('the password is given once more, and the request repeated', async () => {
  const page = await tab()
  await page.evaluate(() => {
    globalThis.wants = true
    globalThis.asked = []
    globalThis.session = module.createSession({
      base: '/auth',
      stepUp: async (needs) => {
        asked.push(needs)
        const body = JSON.stringify({ username: 'ada', password: 'correct horse battery' })
        return wants && (await session.fetch('/auth/step-up', { method: 'POST', body, headers: { 'content-type': 'application/json' } })).ok
      },
    })
    session.addEventListener('stepup', ({ detail }) => asked.push(detail))
  })
  await login(page)
  const sensitive = (path) =>
    page.evaluate((path) => session.fetch(path).then(({ status }) => status, ({ name, maxAge, acrValues }) => [name, maxAge, acrValues]), path)
  assert.equal(await sensitive('/api/sensitive'), 200)
  await control('expire')
  assert.equal(await sensitive('/api/sensitive'), 200)
  assert.deepEqual(await page.evaluate(() => asked.map(({ maxAge }) => maxAge)), [300, 300])
  await control('expire')
  await page.evaluate(() => (wants = false))
  assert.deepEqual(await sensitive('/api/sensitive'), ['StepUpRequired', 300, undefined])
  assert.deepEqual(await sensitive('/api/strong'), ['StepUpRequired', null, ['phr']])
  assert.equal(await call(page), 200)
})
