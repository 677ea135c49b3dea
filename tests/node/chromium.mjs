// The real Chromium that the tests drive.
import chromium from '@sparticuz/chromium'
import { chromium as playwright } from 'playwright-core'

export async function launch() {
  // As it is packed, it wants one process for everything, in which no tab can be closed.
  const args = chromium.args.filter((arg) => !['--single-process', '--no-zygote'].includes(arg))
  return playwright.launch({ executablePath: await chromium.executablePath(), args, headless: true })
}
