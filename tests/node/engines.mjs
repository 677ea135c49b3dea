// The real browsers that the tests drive, as people have them: Chromium, Firefox (ESR) and WebKitGTK, Safari's engine.
// An engine is { fresh(), close() }; what is fresh knows nobody yet, and is { tab(), cookies(), close() }; a tab is
// { goto(url), evaluate(work, ...values), close() }.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import puppeteer from 'puppeteer-core'
import { launch } from './chromium.mjs'

const FIREFOX = '/usr/bin/firefox-esr'
const WEBKIT = '/usr/bin/WebKitWebDriver'
const MINI_BROWSER = ['x86_64-linux-gnu', 'aarch64-linux-gnu'].map((arch) => `/usr/lib/${arch}/webkit2gtk-4.1/MiniBrowser`)

export const has = {
  chromium: true,
  firefox: existsSync(FIREFOX),
  webkit: existsSync(WEBKIT) && existsSync('/usr/bin/xvfb-run') && MINI_BROWSER.some(existsSync),
}

export const start = { chromium, firefox, webkit }

async function chromium() {
  const browser = await launch()
  return { fresh: async () => contextOf(await browser.newContext()), close: () => browser.close() }
}

async function firefox() {
  const browser = await puppeteer.launch({ browser: 'firefox', executablePath: FIREFOX, headless: true })
  return { fresh: async () => contextOf(await browser.createBrowserContext()), close: () => browser.close() }
}

const contextOf = (context) => ({
  tab: async () => tabOf(await context.newPage()),
  cookies: async () => (await context.cookies()).map(({ name }) => name),
  close: () => context.close(),
})

const tabOf = (page) => ({
  goto: (url) => page.goto(url),
  // Playwright hands over one value, Puppeteer any number.
  evaluate: (work, ...values) => page.evaluate(`(${work})(...${JSON.stringify(values)})`),
  close: () => page.close(),
})

/** By the WebDriver protocol (W3C), which is all that WebKitGTK has, on a screen that is none. */
async function webkit() {
  const port = await freePort()
  const home = mkdtempSync(join(tmpdir(), 'webkit-'))
  const driver = spawn('xvfb-run', ['--auto-servernum', WEBKIT, `--port=${port}`], {
    stdio: 'ignore',
    detached: true, // a group of its own, which ends as a whole
    env: { ...process.env, HOME: home, XDG_RUNTIME_DIR: home, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', LIBGL_ALWAYS_SOFTWARE: '1' },
  })
  const ask = async (method, path, body) => {
    const signal = AbortSignal.timeout(40000)
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body), signal })
    const { value } = await answer.json()
    if (!answer.ok) throw new Error(`${method} ${path}: ${value.error} ${value.message}`)
    return value
  }
  for (let tries = 0; !(await ask('GET', '/status').catch(() => tries > 200)); tries++) await new Promise((resolve) => setTimeout(resolve, 50))
  return { fresh: () => webkitSession(ask), close: () => process.kill(-driver.pid) }
}

async function webkitSession(ask) {
  const options = { binary: MINI_BROWSER.find(existsSync), args: ['--automation'] }
  const asked = { capabilities: { alwaysMatch: { 'webkitgtk:browserOptions': options } } }
  const { sessionId } = await ask('POST', '/session', asked).catch(() => ask('POST', '/session', asked)) // may not start
  const at = `/session/${sessionId}`
  let queue = Promise.resolve() // one command at a time: a window is chosen first
  const inWindow = (handle, work) =>
    (queue = queue
      .catch(() => {})
      .then(() => ask('POST', `${at}/window`, { handle }))
      .then(work))
  const script = (work, values) => `
    const done = arguments[arguments.length - 1]
    Promise.resolve().then(() => (${work})(...${JSON.stringify(values)}))
      .then((value) => done({ value: value ?? null }), (error) => done({ error: String(error) }))`
  return {
    async tab() {
      const { handle } = await ask('POST', `${at}/window/new`, { type: 'tab' })
      return {
        goto: (url) => inWindow(handle, () => ask('POST', `${at}/url`, { url })),
        async evaluate(work, ...values) {
          const how = { script: script(work, values), args: [] }
          const told = await inWindow(handle, () => ask('POST', `${at}/execute/async`, how))
          if (told.error) throw new Error(told.error)
          return told.value
        },
        close: () => inWindow(handle, () => ask('DELETE', `${at}/window`)),
      }
    },
    cookies: async () => (await ask('GET', `${at}/cookie`)).map(({ name }) => name),
    close: () => ask('DELETE', at),
  }
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
