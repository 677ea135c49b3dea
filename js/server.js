/**
 * tenure on a JavaScript server: who makes this request, and calls to the API on that user's behalf.
 *
 * For anything that has the platform's Request and Response: Next.js, SvelteKit, Hono, Deno, Bun. A server that renders
 * pages never refreshes: the refresh token's cookie goes to tenure's own endpoints only. A navigation whose access token
 * has expired is redirected there, and comes back with a new one. So renders that run in parallel can't race, and no
 * framework's rule against cookies set while rendering is in the way.
 */
import { createRemoteJWKSet, jwtVerify } from 'jose'

const LONGEST_POLL_S = 25
const PAUSES_MS = [1000, 2000, 5000, 15000, 60000]
const FRESH_S = 10
const SAFE = ['GET', 'HEAD']

/**
 * issuer: the access tokens' `iss`, the public address. service: where this server reaches tenure, by default there.
 */
export function createSessions({
  issuer,
  audience,
  service = issuer,
  base = '/auth',
  prefix = 'tenure',
  apis = [service],
  origins = [new URL(issuer).origin],
  revocations = true,
  clockSkew = 5,
  clock = Date.now,
  fetch: send = (...all) => globalThis.fetch(...all),
}) {
  const root = service.replace(/\/$/, '')
  const host = issuer.startsWith('https:') ? `__Host-${prefix}` : prefix
  const trusted = new Set(apis.map((api) => new URL(api).origin))
  const keys = createRemoteJWKSet(new URL(`${root}/.well-known/jwks.json`))
  const required = { issuer, audience, typ: 'at+jwt', requiredClaims: ['exp', 'sub', 'sid'], clockTolerance: clockSkew }
  const now = () => clock() / 1000
  const feed = revocations ? follow(`${root}${base}/revoked`, send, now) : null

  /** The claims of an access token, or null for one that is not good, or is bound to a key: that needs a proof. */
  async function claimsOf(token) {
    try {
      const { payload } = await jwtVerify(token, keys, { ...required, currentDate: new Date(clock()) })
      return payload.cnf || feed?.refuses(payload) ? null : payload
    } catch (problem) {
      if (['ERR_JWKS_TIMEOUT', 'ERR_JOSE_GENERIC'].includes(problem.code) || !problem.code?.startsWith('ERR_')) throw problem
      return null
    }
  }

  /** The session of a request, or of the headers of one that changes nothing; null if there is none. */
  async function of(request) {
    const headers = request.get ? request : request.headers // Next.js has headers that have headers
    const [, bearer] = /^bearer +(\S+)$/i.exec(headers.get('authorization')) || []
    const sent = bearer ? [bearer] : isOurs(request, headers) ? cookies(headers, `${host}-access`) : []
    for (const token of sent) {
      const user = await claimsOf(token)
      if (user) return { user, token, fetch: as(token) }
    }
    return null
  }

  /** Whether a cookie counts: not with a form or script of another site, which the user did not mean to send. */
  function isOurs({ method = 'GET' }, headers) {
    if (SAFE.includes(method)) return true
    const site = headers.get('sec-fetch-site')
    const origin = headers.get('origin')
    return site === 'same-origin' || origins.includes(origin) || (origin === null && [null, 'none'].includes(site))
  }

  /** The platform's fetch, with the access token for the APIs that may see it. */
  const as = (token) => async (input, init) => {
    const request = new Request(input, init)
    if (!trusted.has(new URL(request.url).origin)) throw new TypeError(`${new URL(request.url).origin} is not among apis, which get the access token`)
    request.headers.set('authorization', `Bearer ${token}`)
    return send(request)
  }

  /**
   * What to answer in place of the page: null if the request may go on, the redirect to a refresh for a navigation, or
   * 401. A token that ends within seconds is renewed before a page is rendered with it.
   */
  async function guard(request) {
    const session = await of(request)
    const { pathname, search } = new URL(request.url)
    if (!navigates(request)) return session ? null : refused(request.headers)
    if (session && isFresh(session.user, now())) return null
    if (cookies(request.headers, `${host}-bounced`).length) return session ? null : blocked(host)
    return redirect(new URL(`${base}/continue?${new URLSearchParams({ to: pathname + search })}`, issuer)) // whole: Next.js takes no path
  }

  return { of, guard, close: () => feed?.close() }
}

const isFresh = ({ exp, iat }, now) => exp - now > Math.min(FRESH_S, (exp - iat) / 10)

function navigates({ method, headers }) {
  const mode = headers.get('sec-fetch-mode')
  const asks = mode === null ? /text\/html/.test(headers.get('accept')) : mode === 'navigate'
  return SAFE.includes(method) && asks
}

function cookies(headers, name) {
  const pairs = (headers.get('cookie') ?? '').split(';').map((pair) => pair.trim())
  return pairs.filter((pair) => pair.startsWith(`${name}=`)).map((pair) => pair.slice(name.length + 1)).filter(Boolean)
}

const redirect = (to) => new Response(null, { status: 303, headers: { location: to, 'cache-control': 'no-store' } })

function refused(headers) {
  const hadOne = headers.has('authorization') || headers.has('cookie')
  const challenge = hadOne ? 'Bearer error="invalid_token"' : 'Bearer'
  return Response.json({ error: 'invalid_token' }, { status: 401, headers: { 'www-authenticate': challenge, 'cache-control': 'no-store' } })
}

/** A refresh has just come back, and still there is no good token: another redirect would go round in circles. */
function blocked(host) {
  const text = 'This site could not see that you are logged in: its cookies did not come back, or its clock is wrong. Allow cookies for it, then load this page again.'
  const headers = { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store', 'set-cookie': `${host}-bounced=; Path=/; Max-Age=0${host.startsWith('__') ? '; Secure' : ''}` }
  return new Response(`<!doctype html><html lang="en"><title>Your browser does not keep this site's cookies</title><p>${text}</p></html>`, { status: 400, headers })
}

/** Follow the feed of ended sessions by long polling. Without it, an ended session's tokens are good until they expire. */
function follow(url, send, now) {
  const ended = new Map() // until when each session's tokens are refused, in seconds
  const closing = new AbortController()
  let cutoffs = []
  let position = 0
  let begun = false

  async function ask() {
    const wait = begun ? LONGEST_POLL_S : 0
    const signal = AbortSignal.any([closing.signal, AbortSignal.timeout(1000 * (wait + 10))])
    const answer = await send(new Request(`${url}?since=${position}&wait=${wait}`, { signal }), { cache: 'no-store' })
    if (answer.status === 404) return close() // this issuer has no feed
    if (!answer.ok) throw new Error(`answered ${answer.status}`)
    const news = await answer.json()
    for (const [sid, until] of ended) if (until < now()) ended.delete(sid)
    for (const { sid, revoked_at } of news.revoked) ended.set(sid, revoked_at + news.keep_for)
    cutoffs = news.cutoffs ?? []
    position = news.position
    begun = true
  }

  async function run() {
    for (let failures = 0; !closing.signal.aborted; ) {
      try {
        await ask()
        failures = 0
      } catch {
        if (closing.signal.aborted) return
        await new Promise((resolve) => setTimeout(resolve, PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)]).unref?.())
      }
    }
  }

  const close = () => closing.abort()
  const ends = ({ iat, auth_time, began = auth_time ?? 0, client_id }) => (cutoff) =>
    began < (cutoff.before ?? Infinity) && ['', client_id].includes(cutoff.client_id ?? '') && (!cutoff.device || iat <= cutoff.at)
  run()
  return { close, refuses: (claims) => ended.get(claims.sid) > now() || cutoffs.some(ends(claims)) }
}
