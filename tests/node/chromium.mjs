// The real Chromium that the tests drive.
import chromium from '@sparticuz/chromium'
import { chromium as playwright } from 'playwright-core'

// As it is packed, it wants one process for everything, in which no tab can be closed.
const UNWANTED = ['--single-process', '--no-zygote']
// And it does without what keeps sites apart in people's browsers.
const UNGUARDED = ['--disable-web-security', '--disable-site-isolation-trials', '--allow-running-insecure-content']

/** guarded: with the protections that people's browsers have. args: more flags. */
export async function launch({ guarded = false, args = [] } = {}) {
  const left = guarded ? [...UNWANTED, ...UNGUARDED] : UNWANTED
  const kept = chromium.args.filter((arg) => !left.includes(arg))
  return playwright.launch({ executablePath: await chromium.executablePath(), args: [...kept, ...args], headless: true })
}
