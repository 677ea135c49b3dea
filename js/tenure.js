/**
 * tenure in the browser: nobody notices that the access token has expired.
 *
 * The refresh token is in a cookie that no script can read, the access token in memory. One refresh at a time: in a tab
 * by a shared promise, between tabs by a Web Lock, whose holder hands the new token over. The attempt key stays in
 * localStorage until its response has arrived: after a lost one, or a reload, the same refresh is sent again. Without
 * localStorage, contexts share it by messages.
 */

const LOCK_MS = 5000
const ANSWER_MS = 10000
const HAND_OVER_MS = 500
const HEARSAY_MS = 50
const LONGEST_PAUSE_MS = 30000
const TRIES = 4
const on = globalThis.addEventListener

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

export class StepUpRequired extends Error {
  constructor(needs) {
    super('authenticate once more')
    Object.assign(this, needs, { name: 'StepUpRequired' })
  }
}

export function createSession({ base = '/auth', origins = [], bind = false, stepUp, fetch: send = globalThis.fetch.bind(globalThis) } = {}) {
  const { root, origin } = addresses(base)
  const trusted = new Set([origin, new URL(root).origin, ...origins])
  const name = `tenure ${root}`
  const events = new EventTarget()
  let token = null // the access token
  let user = null // what it says
  let lives = 0 // for how long; as all times by performance.now(), which no change of the clock touches
  let expires = 0
  let era = 0 // counts sign-ins and sign-outs
  let underWay = null // the refresh that all who need one are waiting for
  let failure = null // the last refresh's
  let again = 0 // not before then
  let between = 0
  let stuck = false // whether the lock between tabs has never come free
  let memory = null // in place of localStorage
  let channel
  const refusing = new Set() // origins that refuse even a new token
  let keys = null // a promise of the key that the session is bound to
  let nonce // the server's, for the next proof
  let skew = 0 // its clock is ahead, in seconds

  const emit = (type, detail = {}) => events.dispatchEvent(new CustomEvent(type, { detail }))
  const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const tell = (message) => channel?.postMessage(message)

  /** The attempt key, how many renewals, an untold log-out. */
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
      channel = on && new BroadcastChannel(name)
      channel.onmessage = hear
    } catch {
      channel = null // denied: this context is on its own
    }
  }

  function take({ access_token, expires_in }) {
    const before = user?.sub
    token = access_token
    user = claims(access_token)
    skew = user.iat - Date.now() / 1000
    lives = 1000 * expires_in
    expires = performance.now() + lives
    failure = null
    between = 0
    const type = before === user.sub ? 'refreshed' : 'signedin'
    if (type === 'signedin') era++
    emit(type, { user })
    if (bind && !user.cnf) emit('unbound')
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

  /** Run `work` with the lock between tabs. If a tab is frozen, the others go on without it after a while. */
  async function alone(work) {
    if (!globalThis.navigator?.locks) return work()
    let begun = false
    try {
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

  /** The proof of the key for one request (DPoP, RFC 9449). */
  async function proof(method, url, access) {
    const pair = bind && (await (keys ||= keyPair(name).catch(() => null)))
    if (!pair) return {}
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey)
    const said = { jti: crypto.randomUUID(), htm: method, htu: url.split(/[?#]/)[0], iat: Math.floor(Date.now() / 1000 + skew), nonce }
    if (access) said.ath = base64(await crypto.subtle.digest('SHA-256', bytes(access)))
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } }
    const signed = [header, said].map((part) => base64(bytes(JSON.stringify(part)))).join('.')
    const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, bytes(signed))
    return { DPoP: `${signed}.${base64(signature)}` }
  }

  async function post(path, body, headers = {}, how = {}) {
    const url = `${root}/${path}`
    for (let first = bind; ; first = false) {
      const answer = await send(url, {
        method: 'POST',
        credentials: 'include',
        headers: { 'Content-Type': 'application/json', ...headers, ...(await proof('POST', url)) },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_MS),
        ...how,
      })
      if (!first || answer.status !== 400) return answer
      nonce = answer.headers.get('DPoP-Nonce') || nonce
      if ((await answer.clone().json()).error !== 'use_dpop_nonce') return answer
    }
  }

  async function carrying(request, access) {
    const bound = user?.cnf
    const headers = { Authorization: `${bound ? 'DPoP' : 'Bearer'} ${access}`, ...(bound && (await proof(request.method, request.url, access))) }
    for (const header in headers) request.headers.set(header, headers[header])
    return request
  }

  /** Send the refresh until its answer is definite. */
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
          // The lock's holder may have renewed: its message is on the way.
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

  /** Tell the server of a log-out, which is remembered until then. */
  async function tellOut(headers) {
    const told = Math.random() // another log-out may follow
    share({ out: told })
    const answer = await post('logout', {}, headers, { keepalive: true }).catch(() => null)
    if (answer && answer.status < 500 && answer.status !== 429) {
      if (shared().out === told) share({ out: undefined })
    } else throw new SignedOut(null)
  }

  /** The access token, renewed if it is about to expire. A good one is used if that fails. */
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
    const answer = await send(await carrying(request, first))
    const needs = asksForMore(answer)
    if (needs) {
      emit('stepup', needs)
      if (!spare || !(await stepUp?.(needs))) throw new StepUpRequired(needs)
    } else if (!saysInvalid(answer) || !spare || (refusing.has(there) && token === first && isYoung())) return answer
    const second = await unlessAborted(spare.signal, token === first ? renew(first) : usable())
    const repeated = await send(await carrying(spare.clone(), second))
    if (!needs && asksForMore(repeated)) return authorizedFetch(spare)
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
  // A page from the back-forward cache has missed what other tabs said.
  on?.('pagehide', () => channel?.close())
  on?.('pageshow', ({ persisted }) => {
    if (!persisted) return
    listen()
    if (token) renew(token).catch(() => {})
  })
  on?.('online', () => (failure = null))

  return {
    /** The claims of whoever is signed in, or null. */
    get user() {
      return user
    },
    fetch: authorizedFetch,
    /** An access token that is good for a moment more. */
    token: async () => usable(),
    /** Another access token than the one that was refused. */
    renewed: async (refused) => (token && token !== refused ? usable() : renew(refused)),
    /** Sign in. Throws SignedOut for a wrong name or password. */
    login: (username, password, { device, remember } = {}) =>
      alone(async () => {
        const answer = await post('login', { username, password, device, remember, transport: 'cookie' })
        const content = await answer.json()
        if (!answer.ok) throw new SignedOut(content.error_description)
        user = null // also the same person is a new sign-in
        settle(shared().attempt, 1)
        share({ out: undefined })
        take(content)
        tell({ access_token: content.access_token, expires_in: content.expires_in })
        return user
      }),
    /** Sign out, in all tabs and at the server. */
    async logout() {
      const bearer = token && !user.cnf ? { Authorization: `Bearer ${token}` } : {}
      leave('logged_out')
      tell({ left: 'logged_out' })
      await tellOut(bearer).catch(() => {})
    },
    /** After a page has loaded: the claims of the user, or null. */
    async restore() {
      try {
        await usable()
      } catch (problem) {
        if (!(problem instanceof SignedOut)) throw problem
      }
      return user
    },
    /** The live sessions of this user. */
    sessions: async () => (await call('GET', 'sessions')).sessions,
    /** End one of them. */
    endSession: (id) => call('DELETE', `sessions/${id}`),
    /** End all but this one. */
    endOthers: () => call('DELETE', 'sessions?others=true'),
    addEventListener: events.addEventListener.bind(events),
    removeEventListener: events.removeEventListener.bind(events),
  }
}

/** Where the endpoints and this context are. A worker made of a blob has no address. */
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

const bytes = (text) => new TextEncoder().encode(text)
const base64 = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/[+/=]/g, (letter) => ({ '+': '-', '/': '_' })[letter] || '')

/** The key of this browser, which no script can read. */
async function keyPair(name) {
  const asked = (request) => new Promise((resolve, reject) => Object.assign(request, { onsuccess: () => resolve(request.result), onerror: reject }))
  const opening = indexedDB.open('tenure', 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore('keys')
  const database = await asked(opening)
  const keys = () => database.transaction('keys', 'readwrite').objectStore('keys')
  const made = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
  await asked(keys().add(made, name)).catch(() => {}) // there is one
  return asked(keys().get(name))
}

/** Whether the token was refused. Another origin may hide its challenge: any 401 counts. */
function saysInvalid({ status, type, headers }) {
  const challenge = headers.get('WWW-Authenticate')
  if (status !== 401 || challenge === null) return status === 401 && type === 'cors'
  return /bearer|dpop/i.test(challenge) && (!/error=/.test(challenge) || /invalid_token/.test(challenge))
}

/** What a resource asks for beyond the token (RFC 9470). */
function asksForMore({ headers }) {
  const challenge = headers.get('WWW-Authenticate')
  const [, maxAge] = /max_age=(\d+)/.exec(challenge) || []
  const [, acrValues] = /acr_values="(.*?)"/.exec(challenge) || []
  return /insufficient_user_/.test(challenge) && { maxAge: maxAge ? +maxAge : null, acrValues: acrValues?.split(' ') }
}

/** What `promise` gives, unless the caller gives up first. */
function unlessAborted(signal, promise) {
  if (!(promise instanceof Promise)) return promise
  return new Promise((resolve, reject) => {
    if (signal.aborted) reject(signal.reason)
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    promise.then(resolve, reject)
  })
}
