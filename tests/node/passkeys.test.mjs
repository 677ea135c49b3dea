// examples/passkeys.py at SITE, in a real Chromium with an authenticator of its own.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { launch } from './chromium.mjs'

const { SITE } = process.env
let browser, page, authenticator, tools

before(async () => {
  browser = await launch()
  page = await (await browser.newContext()).newPage()
  tools = await page.context().newCDPSession(page)
  await tools.send('WebAuthn.enable')
  const options = { protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true }
  authenticator = (await tools.send('WebAuthn.addVirtualAuthenticator', { options })).authenticatorId
  await page.goto(SITE)
})
after(() => browser.close())

const said = async (button) => {
  await page.evaluate(() => (document.querySelector('output').textContent = ''))
  await page.click(`[name=${button}]`)
  await page.waitForFunction(() => document.querySelector('output').textContent)
  return page.textContent('output')
}

test('a passkey signs up, and is logged in as one that resists phishing', async () => {
  await page.fill('[name=name]', 'ada')
  assert.equal(await said('new'), 'for ada, who has shown a passkey')
})

test('the name is taken then', async () => {
  assert.equal(await said('new'), 'Choose another name.')
})

test('after a log-out, the passkey logs in again', async () => {
  await page.evaluate(async () => (await import('/auth/tenure.js')).createSession().logout())
  await page.reload()
  assert.equal(await said('challenge'), 'for ada, who has shown a passkey')
})

test('an answer is good once, and only to a challenge of ours', async () => {
  const statuses = await page.evaluate(async () => {
    const post = (path, body) => fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) })
    const options = await (await post('/passkeys/challenge', {})).json()
    const credential = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) })
    const own = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON({ ...options, challenge: 'b3duIGNoYWxsZW5nZQ' }) })
    const all = []
    for (const body of [credential, credential, own, {}, { id: 7, response: [] }]) all.push((await post('/passkeys/login', body)).status)
    return all
  })
  assert.deepEqual(statuses, [200, 400, 400, 400, 400])
})

test('a passkey that was never registered is refused', async () => {
  const { credentials } = await tools.send('WebAuthn.getCredentials', { authenticatorId: authenticator })
  await tools.send('WebAuthn.clearCredentials', { authenticatorId: authenticator })
  await tools.send('WebAuthn.addCredential', { authenticatorId: authenticator, credential: { ...credentials[0], credentialId: Buffer.alloc(32, 7).toString('base64') } })
  assert.equal(await said('challenge'), 'This passkey is not known here.')
})
