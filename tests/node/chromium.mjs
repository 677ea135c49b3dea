// The real Chromium that the tests drive, with every protection that people's browsers have. The flags that its package
// brings would take those away (of the web's security, of the isolation of sites): none of them is used.
import chromium from '@sparticuz/chromium'
import { chromium as playwright } from 'playwright-core'

/** args: more flags. executable: another Chromium than the one of the package. */
export async function launch({ args = [], executable } = {}) {
  const executablePath = executable ?? (await chromium.executablePath())
  const start = () => playwright.launch({ executablePath, args: ['--no-sandbox', ...args], headless: true })
  return start().catch(start) // it crashes as it starts, now and then; what is tested begins later
}
