// The examples of js/README.md, word for word, in a real Chromium, each over an expiry of the access token.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, beforeEach, test } from 'node:test'
import { launch } from './chromium.mjs'

const URL_ = process.env.URL
const README = readFileSync(new URL('../../js/README.md', import.meta.url), 'utf8')
let browser, context, page

const control = async (command) => (await fetch(`${URL_}/control/${command}`)).json()
const refreshes = async () => (await control('counts'))['/auth/refresh'] || 0
const code = (heading) => README.split(`# ${heading}\n`)[1].match(/```js\n(.*?)```/s)[1]

before(async () => {
  browser = await launch()
})
after(() => browser.close())
beforeEach(async () => {
  await context?.close()
  context = await browser.newContext()
  page = await context.newPage()
  await page.goto(`${URL_}/control/page`)
  await page.waitForFunction(() => globalThis.module)
  await page.evaluate(async () => {
    globalThis.process = { env: { NODE_ENV: 'production' } } // as bundlers put it in
    globalThis.session = module.createSession()
    await session.login('ada', 'correct horse battery')
  })
})

/** Run what the README says under a heading, and then `use`; its last value. */
async function example(heading, use) {
  await page.addScriptTag({ type: 'module', content: `${code(heading)}\nglobalThis.use = async () => { ${use} }\n` })
  await page.waitForFunction(() => globalThis.use)
  return page.evaluate(() => use())
}

for (const [heading, use] of [
  ['axios', "return (await api(session).get('/api/me')).data.sub"],
  ['ky', "return (await api(session).get('/api/me').json()).sub"],
  ['TanStack Query', "return (await queries(session).fetchQuery({ queryKey: ['/api/me'] })).sub"],
  ['GraphQL', "return (await client(session).query('{ me { sub } }', {}).toPromise()).data.me.sub"],
])
  test(heading, async () => {
    const before = await refreshes()
    assert.equal(await example(heading, use), 'ada')
    await control('expire')
    assert.equal(await page.evaluate(() => use()), 'ada')
    assert.equal((await refreshes()) - before, 1)
  })

test('TanStack Query does not try again for somebody who is signed out', async () => {
  await page.evaluate(() => session.logout())
  const use = "return queries(session).fetchQuery({ queryKey: ['/api/me'] }).catch((problem) => problem.name)"
  assert.equal(await example('TanStack Query', use), 'SignedOut')
})

test('an upload with its progress', async () => {
  await control('expire')
  const use = `
    const seen = []
    const answer = await upload(session, '/api/me', new Blob(['x'.repeat(100000)]), ({ loaded }) => seen.push(loaded))
    return [answer.status, JSON.parse(answer.responseText).bytes, seen.at(-1)]`
  assert.deepEqual(await example('Upload with progress', use), [200, 100000, 100000])
})

test('a WebSocket that is opened again', async () => {
  const use = `
    globalThis.said = []
    globalThis.socket = await connect(session, location.origin.replace('http', 'ws') + '/api/socket', ({ data }) => said.push(data))`
  await example('WebSocket', use)
  await page.waitForFunction(() => said.length === 1)
  await page.evaluate(() => socket.send('who am I?'))
  await page.waitForFunction(() => said.length === 2)
  await control('expire')
  await page.evaluate(() => socket.send('who am I?')) // is closed with 4401
  await page.evaluate(async () => session.renewed(await session.token()))
  await page.waitForFunction(() => said.length === 3)
  assert.deepEqual(await page.evaluate(() => said), ['ada', 'ada', 'ada'])
})

test('server-sent events', async () => {
  const use = `
    const heard = []
    for await (const data of events(session, '/api/events')) {
      heard.push(data)
      if (heard.length === 3) await fetch('/control/expire')
      if (heard.length === 5) return heard
    }`
  assert.deepEqual(await example('Server-sent events', use), ['1', '2', '3', '4', '5'])
})

test('a service worker carries the token of an image, a form and an EventSource', async () => {
  await context.route('**/worker.js', (route) =>
    route.fulfill({ contentType: 'text/javascript', body: code('A service worker that carries the token') }),
  )
  await page.evaluate(async () => {
    await navigator.serviceWorker.register('/worker.js', { type: 'module' })
    await navigator.serviceWorker.ready
  })
  await page.reload()
  await page.waitForFunction(() => navigator.serviceWorker.controller)
  await control('expire')
  const loaded = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const image = document.body.appendChild(new Image())
        image.onload = () => resolve(image.naturalWidth)
        image.onerror = () => resolve('error')
        image.src = '/api/image'
      }),
  )
  assert.equal(loaded, 1)
  await control('expire')
  const first = await page.evaluate(
    () =>
      new Promise((resolve) => {
        const source = new EventSource('/api/events')
        source.onmessage = ({ data }) => (source.close(), resolve(data))
        source.onerror = () => resolve('error')
      }),
  )
  assert.equal(first, '1')
  await control('expire')
  await page.evaluate(() => {
    document.body.innerHTML = '<form method="post" action="/api/me"><input name="text" value="hello"></form>'
    document.forms[0].submit()
  })
  await page.waitForURL('**/api/me')
  assert.match(await page.textContent('body'), /"sub": "ada".*"bytes": 10/)
})
