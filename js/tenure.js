/**
 * tenure in the browser: nobody notices that the access token has expired.
 *
 * The refresh token is in a cookie that no script can read, the access token in this page's memory. One refresh at a
 * time: in a tab by a shared promise, between tabs by a Web Lock, whose holder hands the new token to the others. The
 * attempt key is kept in localStorage until its answer has arrived, so that after a lost answer, a closed lid or a
 * reload the same refresh is sent again with the same key, which the server takes for a retry. No timers: a token is
 * renewed when somebody needs it, so that sleep, throttled tabs and wrong clocks change nothing.
 *
 * Each part of the platform may be missing (workers have no localStorage, some people deny it): then a context shares
 * what it must by messages, and keeps the rest to itself.
 */

const LOCK_MS = 5000
const ANSWER_MS = 10000
const HAND_OVER_MS = 500
const HEARSAY_MS = 50
const LONGEST_PAUSE_MS = 30000
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
  const { root, origin } = addresses(base)
  const trusted = new Set([origin, new URL(root).origin, ...origins])
  const name = `tenure ${root}`
  const events = new EventTarget()
  let token = null // the access token
  let user = null // what it says
  let lives = 0 // for how long it does; as all times here by performance.now(), which no change of the clock touches
  let expires = 0
  let era = 0 // counts sign-ins and sign-outs: an answer from an earlier era is not for this one
  let underWay = null // the refresh that all who need one are waiting for
  let failure = null // why the last refresh failed
  let again = 0 // not before then is another one tried
  let between = 0 // how long that was
  let stuck = false // whether the lock between tabs has never come free
  let memory = null // what contexts share, where there is no localStorage
  let channel
  const refusing = new Set() // origins that refuse even a new token

  const emit = (type, detail = {}) => events.dispatchEvent(new CustomEvent(type, { detail }))
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const tell = (message) => channel?.postMessage(message)

  /** What contexts share besides the cookie: the attempt key, how often the token was renewed, an untold log-out. */
  function shared() {
    if (memory) return memory
    try {
      return parsed(localStorage.getItem(name))
    } catch {
      return (memory = {})
    }
  }

  function share(change) {
    const kept = { ...shared(), ...change }
    try {
      if (!memory) localStorage.setItem(name, JSON.stringify(kept))
      else memory = kept
    } catch {
      memory = kept
    }
  }

  // A context without localStorage has heard of the others' attempt keys, and they of its own.
  const begin = (attempt) => (share({ attempt }), tell({ began: attempt, alone: !!memory }))
  const settle = (attempt, renewed) => {
    share({ attempt: undefined, renewed: (shared().renewed || 0) + renewed })
    tell({ ended: attempt, alone: !!memory })
  }

  function hear({ data }) {
    if (data.left) leave(data.left)
    else if (data.access_token) take(data)
    else if (data.refuses) refusing.add(data.refuses)
    else if (data.asks && shared().attempt) tell({ began: shared().attempt, alone: true })
    else if ((memory || data.alone) && data.began && !shared().attempt) share({ attempt: data.began })
    else if ((memory || data.alone) && data.ended === shared().attempt) share({ attempt: undefined })
  }

  function listen() {
    try {
      channel = new BroadcastChannel(name)
      channel.onmessage = hear
    } catch {
      channel = null // denied: this context is on its own
    }
  }

  function take({ access_token, expires_in }) {
    const before = user?.sub
    token = access_token
    user = claims(access_token)
    lives = 1000 * expires_in
    expires = performance.now() + lives
    failure = null
    between = 0
    const type = before === user.sub ? 'refreshed' : 'signedin'
    if (type === 'signedin') era++
    emit(type, { user })
  }

  function leave(reason) {
    const was = user || token
    token = user = failure = null
    era++
    if (was) emit('signedout', { reason })
  }

  const isGood = () => token && performance.now() < expires
  const isFresh = () => isGood() && performance.now() < expires - Math.min(30000, lives / 10)
  const isYoung = () => isGood() && performance.now() < expires - lives / 2

  /** Run `work` with the lock between tabs. A frozen tab can't starve the others: after a while they go on without. */
  async function alone(work) {
    if (!globalThis.navigator?.locks) return work()
    let begun = false
    try {
      // Who has waited in vain once, waits no more until the lock is found free.
      const how = stuck ? { ifAvailable: true } : { signal: AbortSignal.timeout(LOCK_MS) }
      return await navigator.locks.request(name, how, (lock) => {
        begun = true
        stuck &&= !lock
        return work()
      })
    } catch (problem) {
      if (begun) throw problem
      stuck = true
      return work()
    }
  }

  const post = (path, body, headers = {}, how = {}) =>
    send(`${root}/${path}`, {
      method: 'POST',
      credentials: 'include',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS),
      ...how,
    })

  /** Send the refresh until its answer is definite: a pair of tokens, or that the session is over. */
  async function exchange() {
    if (shared() === memory && !memory.attempt) {
      tell({ asks: true })
      await pause(HEARSAY_MS)
    }
    const attempt = shared().attempt || crypto.randomUUID()
    begin(attempt)
    for (let left = failure ? 1 : TRIES; ; ) {
      let answer, content, problem
      try {
        answer = await post('refresh', {}, { 'Idempotency-Key': attempt })
        content = await answer.json()
        if (answer.ok && content.access_token) {
          settle(attempt, 1)
          return content
        }
      } catch (failed) {
        problem = failed
      }
      if (answer?.status === 400 && content?.error) {
        settle(attempt, 0)
        // Anything but invalid_grant says that there is no cookie.
        throw new SignedOut(content.error === 'invalid_grant' ? content.reason || content.error : null)
      }
      const asked = 1000 * Number(answer?.headers.get('Retry-After')) || 0
      if (--left === 0 || asked > ANSWER_MS) {
        between = Math.min(LONGEST_PAUSE_MS, 2 * between || 1000)
        again = performance.now() + Math.max(between, Math.min(asked, 10 * LONGEST_PAUSE_MS))
        throw (failure = new RefreshFailed(problem || new Error(`answered ${answer.status}`)))
      }
      await pause(Math.max(asked, 2 ** (TRIES - left) * 100 * (0.5 + Math.random())))
    }
  }

  /** Get another access token than `seen`, from another tab or from the server. */
  function renew(seen) {
    underWay ||= (async () => {
      const [then, renewed, asked] = [era, shared().renewed, performance.now()]
      try {
        if (shared().out) await tellOut()
        if (failure && asked < again) throw failure
        const content = await alone(async () => {
          // Who waited for the lock may find that its holder has renewed: its message is on the way.
          if (performance.now() - asked > 5) await pause(20)
          for (let waited = 0; shared().renewed !== renewed && token === seen && waited < HAND_OVER_MS; waited += 10) await pause(10)
          if (token !== seen && token) return null
          const got = await exchange()
          if (era === then) tell({ access_token: got.access_token, expires_in: got.expires_in })
          return got
        })
        if (era !== then && !token) throw new SignedOut('logged_out')
        if (content && era === then) take(content)
        return token
      } catch (problem) {
        if (problem instanceof SignedOut && era === then) {
          leave(problem.reason)
          tell({ left: problem.reason || 'unknown' })
        }
        throw problem
      }
    })().finally(() => (underWay = null))
    return underWay
  }

  /** Tell the server of a log-out. It is remembered until the server has answered; nobody is signed in until then. */
  async function tellOut(headers) {
    const told = Math.random() // another log-out may follow
    share({ out: told })
    const answer = await post('logout', {}, headers, { keepalive: true }).catch(() => null)
    if (answer && answer.status < 500 && answer.status !== 429) {
      if (shared().out === told) share({ out: undefined })
    } else throw new SignedOut(null)
  }

  /** The access token, renewed if it is about to expire. One that is good is used, if that fails. */
  const usable = () =>
    isFresh() ? token : renew(token).catch((problem) => (problem instanceof RefreshFailed && isGood() ? token : Promise.reject(problem)))

  /** As the platform's fetch, with the access token; refreshed and repeated where that is needed. */
  async function authorizedFetch(input, init) {
    const stream = init?.body instanceof ReadableStream
    const request = new Request(input, stream ? { duplex: 'half', ...init } : init)
    const there = new URL(request.url).origin
    if (!trusted.has(there)) return send(request)
    const spare = stream ? null : request.clone()
    const first = await unlessAborted(request.signal, usable())
    const answer = await send(carrying(request, first))
    if (!saysInvalid(answer) || !spare || (refusing.has(there) && token === first && isYoung())) return answer
    const second = await unlessAborted(spare.signal, token === first ? renew(first) : usable())
    const repeated = await send(carrying(spare, second))
    if (!saysInvalid(repeated)) refusing.delete(there)
    else if (isYoung() && !refusing.has(there)) {
      refusing.add(there)
      tell({ refuses: there })
      emit('refused', { origin: there })
    }
    return repeated
  }

  async function call(method, path) {
    const answer = await authorizedFetch(`${root}/${path}`, { method })
    if (!answer.ok) throw new Error((await answer.json()).error_description)
    return answer.status === 204 ? null : answer.json()
  }

  listen()
  // A page from the back-forward cache has missed what other tabs said: it asks the server who it is.
  addEventListener('pagehide', () => channel?.close())
  addEventListener('pageshow', ({ persisted }) => {
    if (!persisted) return
    listen()
    if (token) renew(token).catch(() => {})
  })
  addEventListener('online', () => (failure = null))

  return {
    /** The claims of whoever is signed in, or null. */
    get user() {
      return user
    },
    fetch: authorizedFetch,
    /** An access token that is good for a moment more, for whatever is not `fetch`. */
    token: async () => usable(),
    /** Another access token than the one that was refused. */
    renewed: async (refused) => (token && token !== refused ? usable() : renew(refused)),
    /** Sign in with a name and a password. Throws SignedOut with the server's reason for wrong ones. */
    login: (username, password, { device } = {}) =>
      alone(async () => {
        const answer = await post('login', { username, password, device, transport: 'cookie' })
        const content = await answer.json()
        if (!answer.ok) throw new SignedOut(content.error_description)
        user = null // also the same person is a new sign-in
        settle(shared().attempt, 1)
        share({ out: undefined })
        take(content)
        tell({ access_token: content.access_token, expires_in: content.expires_in })
        return user
      }),
    /** Sign out, here and in all tabs, and at the server: later, if it can't be reached. */
    async logout() {
      const bearer = token ? { Authorization: `Bearer ${token}` } : {}
      leave('logged_out')
      tell({ left: 'logged_out' })
      await tellOut(bearer).catch(() => {})
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

/** Where the endpoints are, and this page or worker. A worker that was made of a blob has no address to begin from. */
function addresses(base) {
  const here = globalThis.location
  const origin = globalThis.origin ?? here?.origin
  try {
    return { root: new URL(base, /^http/.test(here?.href) ? here.href : origin).href.replace(/\/$/, ''), origin }
  } catch {
    throw new TypeError(`base is an address with its origin here, like https://app.example.com${base}`)
  }
}

function parsed(text) {
  try {
    return JSON.parse(text) || {}
  } catch {
    return {} // somebody else's
  }
}

function claims(jwt) {
  const body = atob(jwt.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))
  return JSON.parse(new TextDecoder().decode(Uint8Array.from(body, (letter) => letter.charCodeAt(0))))
}

function carrying(request, token) {
  request.headers.set('Authorization', `Bearer ${token}`)
  return request
}

/** Whether the token was refused. An answer of another origin may hide its challenge: then any 401 counts. */
function saysInvalid({ status, type, headers }) {
  const challenge = headers.get('WWW-Authenticate')
  if (status !== 401 || challenge === null) return status === 401 && type === 'cors'
  return /bearer/i.test(challenge) && (!/error=/.test(challenge) || /invalid_token/.test(challenge))
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
