/**
 * tenure in apps that are not pages: Node.js, React Native, Electron's main process.
 *
 * The state machine is the browser's. Where a browser has its cookie, this keeps the refresh token in a storage of the
 * app's own, and the key of the attempt with it, before the refresh is sent: after a lost response, or a crash, the same
 * refresh is sent again. Processes that share a storage share its lock, and what another one has got meanwhile is used.
 */
import { createSession } from './tenure.js'

export { RefreshFailed, SignedOut, StepUpRequired } from './tenure.js'

const YOUNG = 0.5 // of its lifetime is left: an access token that another process has just got
const JSON_TYPE = { 'Content-Type': 'application/json' }

/** base: the whole address of tenure's endpoints. storage: get() and set(state), now or by a promise. lock: runs work alone. */
export function createClient({ base, storage = inMemory(), lock = inTurn(), clock = Date.now, fetch: outer = (...all) => globalThis.fetch(...all), ...more }) {
  const root = base.replace(/\/$/, '')
  const state = async () => (await storage.get()) ?? {}
  const paths = { refresh, login, logout }
  let given // the access token that this process had last

  /** As the browser sends it, but for the cookie. */
  async function send(input, init) {
    const work = typeof input === 'string' && input.startsWith(`${root}/`) && paths[input.slice(root.length + 1)]
    return work ? lock(() => work(input, { ...init, credentials: 'omit' })) : outer(input, init)
  }

  async function refresh(url, init) {
    const kept = await state()
    if (kept.out) await logout(`${root}/logout`, { ...init, headers: JSON_TYPE })
    if (kept.out || !kept.refresh_token) return answer(400, { error: 'invalid_request' }) // nobody is signed in
    if (kept.access_token && kept.access_token !== given && isYoung(kept)) return give(kept.access_token, (kept.expires - clock()) / 1000)
    const attempt = kept.attempt ?? init.headers['Idempotency-Key']
    if (!kept.attempt) await storage.set({ ...kept, attempt })
    const body = JSON.stringify({ refresh_token: kept.refresh_token })
    const got = await outer(url, { ...init, headers: { ...init.headers, 'Idempotency-Key': attempt }, body })
    if (got.ok) return keep(got)
    if (got.status === 400 && (await got.clone().json().catch(() => ({}))).error === 'invalid_grant') await storage.set(null)
    return got
  }

  async function login(url, init) {
    return keep(await outer(url, { ...init, body: JSON.stringify({ ...JSON.parse(init.body), transport: 'body' }) }))
  }

  async function logout(url, init) {
    const { refresh_token } = await state()
    if (!refresh_token) return new Response(null, { status: 204 })
    await storage.set({ refresh_token, out: true }) // if the server can't be reached, it is told before the next refresh
    const said = await outer(url, { ...init, keepalive: false, body: JSON.stringify({ refresh_token }) })
    if (said.status < 500 && said.status !== 429) await storage.set(null)
    return said
  }

  /** What a response brings is kept before anybody uses it. */
  async function keep(got) {
    const content = await got.clone().json().catch(() => ({}))
    if (!got.ok || !content.refresh_token) return got
    const { refresh_token, access_token, expires_in } = content
    await storage.set({ refresh_token, access_token, lives: 1000 * expires_in, expires: clock() + 1000 * expires_in })
    return give(access_token, expires_in)
  }

  function give(access_token, expires_in) {
    given = access_token
    return answer(200, { access_token, expires_in })
  }

  const isYoung = ({ expires, lives }) => expires - clock() > YOUNG * lives

  return createSession({ ...more, base: root, fetch: send })
}

const answer = (status, content) => new Response(JSON.stringify(content), { status, headers: JSON_TYPE })

/** A storage that ends with the process. */
export function inMemory(state = null) {
  return { get: () => state, set: (next) => void (state = next) }
}

/** A lock for one process: work waits for the work before it. */
export function inTurn() {
  let last = Promise.resolve()
  return (work) => (last = last.then(work, work))
}
