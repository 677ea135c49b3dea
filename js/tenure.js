/**
 * tenure in the browser: nobody notices that the access token has expired.
 *
 * The refresh token is in a cookie that no script can read, the access token in this page's memory. One refresh at a
 * time: in a tab by a shared promise, between tabs by a Web Lock, whose holder hands the new token to the others. The
 * attempt key is kept in localStorage until its answer has arrived, so that after a lost answer, a closed lid or a
 * reload the same refresh is sent again with the same key, which the server takes for a retry. No timers: a token is
 * renewed when somebody needs it, so that sleep, throttled tabs and wrong clocks change nothing.
 */

const LOCK_MS = 5000
const ANSWER_MS = 10000
const HAND_OVER_MS = 500
const TRIES = 4

export class SignedOut extends Error {
  constructor(reason) {
    super(reason ? `signed out: ${reason}` : 'nobody is signed in')
    this.name = 'SignedOut'
    this.reason = reason
  }
}

export class RefreshFailed extends Error {
  constructor(cause) {
    super('the session could not be refreshed just now; it is kept', { cause })
    this.name = 'RefreshFailed'
  }
}

export function createSession({ base = '/auth', origins = [], fetch: send = globalThis.fetch.bind(globalThis) } = {}) {
  const root = new URL(base, location.href).href.replace(/\/$/, '')
  const trusted = new Set([location.origin, new URL(root).origin, ...origins])
  const name = `tenure ${root}`
  const events = new EventTarget()
  let token = null // the access token
  let user = null // what it says
  let goodUntil = 0 // by performance.now(), which no change of the clock touches
  let era = 0 // counts sign-ins and sign-outs: an answer from an earlier era is not for this one
  let underWay = null // the refresh that all who need one are waiting for
  let channel

  // What tabs share besides the cookie: the attempt key, and how often the token was renewed.
  const shared = () => JSON.parse(localStorage.getItem(name) || '{}')
  const share = (change) => localStorage.setItem(name, JSON.stringify({ ...shared(), ...change }))

  const emit = (type, detail = {}) => events.dispatchEvent(new CustomEvent(type, { detail }))
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

  function take({ access_token, expires_in }) {
    const before = user?.sub
    token = access_token
    user = JSON.parse(new TextDecoder().decode(bytes(access_token.split('.')[1])))
    goodUntil = performance.now() + 1000 * (expires_in - Math.min(30, expires_in / 10))
    const type = before === user.sub ? 'refreshed' : 'signedin'
    if (type === 'signedin') era++
    emit(type, { user })
  }

  function leave(reason) {
    const was = user || token
    token = user = null
    era++
    if (was) emit('signedout', { reason })
  }

  function hear({ data }) {
    if (data.left) leave(data.left)
    else take(data)
  }

  function listen() {
    channel = new BroadcastChannel(name)
    channel.onmessage = hear
  }

  /** Run `work` with the lock between tabs. A frozen tab can't starve the others: after a while they go on without. */
  async function alone(work) {
    if (!navigator.locks) return work()
    let begun = false
    try {
      return await navigator.locks.request(name, { signal: AbortSignal.timeout(LOCK_MS) }, () => {
        begun = true
        return work()
      })
    } catch (problem) {
      if (begun) throw problem
      return work()
    }
  }

  const post = (path, body, headers = {}) =>
    send(`${root}/${path}`, {
      method: 'POST',
      credentials: 'include',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
    })

  /** Send the refresh until its answer is definite: a pair of tokens, or that the session is over. */
  async function exchange() {
    let attempt = shared().attempt
    if (!attempt) share({ attempt: (attempt = crypto.randomUUID()) })
    for (let left = TRIES; ; ) {
      let answer, content, problem
      try {
        answer = await post('refresh', {}, { 'Idempotency-Key': attempt })
        content = await answer.json()
        if (answer.ok && content.access_token) {
          share({ attempt: undefined, renewed: (shared().renewed || 0) + 1 })
          return content
        }
      } catch (failed) {
        problem = failed
      }
      if (answer?.status === 400 && content?.error) {
        share({ attempt: undefined })
        // Anything but invalid_grant says that there is no cookie.
        throw new SignedOut(content.error === 'invalid_grant' ? content.reason || content.error : null)
      }
      const asked = Number(answer?.headers.get('Retry-After')) || 0
      if (--left === 0 || 1000 * asked > ANSWER_MS) throw new RefreshFailed(problem || new Error(`answered ${answer.status}`))
      await pause(Math.max(1000 * asked, 2 ** (TRIES - left) * 100 * (0.5 + Math.random())))
    }
  }

  /** Get another access token than `seen`, from another tab or from the server. */
  function renew(seen) {
    underWay ||= (async () => {
      const [then, renewed, asked] = [era, shared().renewed, performance.now()]
      try {
        const content = await alone(async () => {
          // Who waited for the lock may find that its holder has renewed: its message is on the way.
          if (performance.now() - asked > 5) await pause(20)
          for (let waited = 0; shared().renewed !== renewed && token === seen && waited < HAND_OVER_MS; waited += 10) await pause(10)
          if (token !== seen && token) return null
          const got = await exchange()
          if (era === then) {
            channel.postMessage({ access_token: got.access_token, expires_in: got.expires_in })
          }
          return got
        })
        if (era !== then && !token) throw new SignedOut('logged_out')
        if (content && era === then) take(content)
        return token
      } catch (problem) {
        if (problem instanceof SignedOut && era === then) {
          leave(problem.reason)
          channel.postMessage({ left: problem.reason || 'unknown' })
        }
        throw problem
      } finally {
        underWay = null
      }
    })()
    return underWay
  }

  const usable = () => (token && performance.now() < goodUntil ? token : renew(token))

  /** As the platform's fetch, with the access token; refreshed and repeated where that is needed. */
  async function authorizedFetch(input, init) {
    const stream = init?.body instanceof ReadableStream
    const request = new Request(input, stream ? { duplex: 'half', ...init } : init)
    if (!trusted.has(new URL(request.url).origin)) return send(request)
    const spare = stream ? null : request.clone()
    const first = await unlessAborted(request.signal, usable())
    const answer = await send(carrying(request, first))
    if (!spare || !saysInvalid(answer)) return answer
    const second = await unlessAborted(spare.signal, token === first ? renew(first) : usable())
    return send(carrying(spare, second))
  }

  async function call(method, path) {
    const answer = await authorizedFetch(`${root}/${path}`, { method })
    if (!answer.ok) throw new Error((await answer.json()).error_description)
    return answer.status === 204 ? null : answer.json()
  }

  listen()
  // A page from the back-forward cache has missed what other tabs said: it asks the server who it is.
  addEventListener('pagehide', () => channel.close())
  addEventListener('pageshow', ({ persisted }) => {
    if (!persisted) return
    listen()
    if (token) renew(token).catch(() => {})
  })

  return {
    /** The claims of whoever is signed in, or null. */
    get user() {
      return user
    },
    fetch: authorizedFetch,
    /** Sign in with a name and a password. Throws SignedOut with the server's reason for wrong ones. */
    login: (username, password, { device } = {}) =>
      alone(async () => {
        const answer = await post('login', { username, password, device, transport: 'cookie' })
        const content = await answer.json()
        if (!answer.ok) throw new SignedOut(content.error_description)
        user = null // also the same person is a new sign-in
        share({ attempt: undefined, renewed: (shared().renewed || 0) + 1 })
        take(content)
        channel.postMessage({ access_token: content.access_token, expires_in: content.expires_in })
        return user
      }),
    /** Sign out, here and in all tabs, and at the server if it can be reached. */
    async logout() {
      const bearer = token ? { Authorization: `Bearer ${token}` } : {}
      leave('logged_out')
      channel.postMessage({ left: 'logged_out' })
      await alone(() => post('logout', {}, bearer)).catch(() => {})
    },
    /** Find out, after a page has loaded, whether somebody is signed in: their claims, or null. */
    async restore() {
      try {
        await usable()
      } catch (problem) {
        if (!(problem instanceof SignedOut)) throw problem
      }
      return user
    },
    /** The live sessions of this person. */
    sessions: async () => (await call('GET', 'sessions')).sessions,
    /** End one of them. */
    endSession: (id) => call('DELETE', `sessions/${id}`),
    /** End all but this one. */
    endOthers: () => call('DELETE', 'sessions?others=true'),
    addEventListener: events.addEventListener.bind(events),
    removeEventListener: events.removeEventListener.bind(events),
  }
}

function bytes(base64url) {
  return Uint8Array.from(atob(base64url.replace(/-/g, '+').replace(/_/g, '/')), (letter) => letter.charCodeAt(0))
}

function carrying(request, token) {
  request.headers.set('Authorization', `Bearer ${token}`)
  return request
}

function saysInvalid(answer) {
  const challenge = answer.headers.get('WWW-Authenticate') || ''
  return answer.status === 401 && /bearer/i.test(challenge) && (!/error=/.test(challenge) || /invalid_token/.test(challenge))
}

/** What `promise` gives, unless the caller gives up first; the refresh that others wait for goes on. */
function unlessAborted(signal, promise) {
  if (!(promise instanceof Promise)) return promise
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    promise.then(resolve, reject)
  })
}
