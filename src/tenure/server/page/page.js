// The demo's page. It sees what any page sees, and three things more, over a channel that only a demo has: the events
// of the service, the refresh token that is to be stolen, and a way to lose an answer.
import { createSession } from '/auth/tenure.js'
import { draw, Family } from '/demo/family.js'

const $ = (id) => document.getElementById(id)
const short = (token) => `${token.slice(0, 9)}…${token.slice(-4)}`
const families = new Map() // by session id
let stolen = null // what the thief holds
let thieving = false // whether the request under way is the thief's
let life = null // of the access token: when it began (performance.now()) and how long it is
let phone = null // the second device: its tokens, and how it fares

// ---- what goes over the wire

/** Put a line on top of the timeline. */
function tell(style, what, status, ...details) {
  $('timeline').querySelector('.empty')?.remove()
  const item = document.createElement('li')
  item.className = style
  item.innerHTML = '<span class="status"></span><span class="what"></span>'
  item.children[0].textContent = status
  item.children[1].textContent = what
  for (const detail of details.filter(Boolean)) {
    const line = document.createElement('small')
    line.textContent = detail
    item.append(line)
  }
  $('timeline').prepend(item)
  while ($('timeline').children.length > 60) $('timeline').lastChild.remove()
}

/** The platform's fetch, with every request told: what it carries, and what came back. */
async function recorded(input, init) {
  const request = new Request(input, init)
  const path = new URL(request.url).pathname
  const silent = path === '/auth/refresh'
  const bearer = request.headers.get('Authorization')
  const key = request.headers.get('Idempotency-Key')
  const carries = [
    bearer && `carries the access token ${short(bearer.split(' ')[1])}`,
    request.headers.has('DPoP') && 'carries a proof of the key, for this one request',
    silent && 'carries the refresh token, in its cookie',
    key && `carries the attempt key ${key.slice(0, 8)}…`,
  ]
  const what = `${silent ? 'silent refresh · ' : ''}${request.method} ${path}`
  try {
    const answer = await fetch(request)
    const content = answer.status === 204 ? {} : await answer.clone().json()
    const nobody = silent && content.error === 'invalid_request'
    const style = nobody || content.error === 'use_dpop_nonce' ? '' : !answer.ok ? 'bad' : silent ? 'silent' : 'good'
    const outcome = nobody ? 'there is no cookie: nobody is logged in here' : content.error_description
    tell(style, what, answer.status, ...(nobody ? [] : carries), outcome, silent && answer.ok && 'brings a new access token and a new refresh token')
    return answer
  } catch (lost) {
    tell('lost', what, 'lost', ...carries, 'the server answered, but the answer never arrived: it will be tried again, with the same key')
    $('lose').setAttribute('aria-pressed', 'false')
    throw lost
  }
}

const bound = new URLSearchParams(location.search).has('bound')
const session = createSession({ fetch: recorded, bind: bound })
$('binding').replaceChildren(...(bound ? ['This session will be bound to a key that never leaves this browser. ', link('/', 'Without it')] : [link('?bound', 'Bind the session to this browser'), ': a stolen token is then worth nothing.']))

function link(href, text) {
  return Object.assign(document.createElement('a'), { href, textContent: text })
}

// ---- signing in and out

function notice(text, bad = false) {
  $('notice').hidden = !text
  $('notice').className = bad ? 'bad' : ''
  $('notice').textContent = text
}

function show() {
  const inside = session.user !== null
  $('login').hidden = inside
  $('signed-in').hidden = !inside
  $('devices').hidden = !inside
  if (inside) listDevices()
}

function renewed({ detail: { user } }) {
  life = { begun: performance.now(), seconds: user.exp - user.iat }
  if (!$('notice').classList.contains('bad')) notice('')
  $('access-id').textContent = `id ${user.jti.slice(0, 8)}…`
  for (const id of ['access', 'refresh']) {
    $(id).classList.remove('fresh')
    void $(id).offsetWidth // lets the animation begin anew
    $(id).classList.add('fresh')
  }
  show()
}
session.addEventListener('signedin', renewed)
session.addEventListener('refreshed', renewed)

const REASONS = {
  reuse_detected: 'An old refresh token turned up, so two holders exist. The whole family was ended, for you and for the thief. Please log in again.',
  revoked: 'This session was ended. Please log in again.',
  expired: 'This session has expired. Please log in again.',
  logged_out: 'You have logged out.',
}
session.addEventListener('signedout', ({ detail: { reason } }) => {
  notice(REASONS[reason] || 'Please log in.', reason !== 'logged_out')
  show()
  $('password').focus()
})

const tried = (work) => async (event) => {
  event?.preventDefault()
  try {
    await work()
  } catch (problem) {
    if (problem.name !== 'SignedOut' || !problem.reason) notice(problem.message, true)
    else if (!REASONS[problem.reason]) notice(problem.reason, true)
  }
}

$('login').onsubmit = tried(async () => {
  await session.login($('username').value, $('password').value, { device: 'This browser' })
  notice('')
  $('call').focus()
})
$('logout').onclick = tried(() => session.logout())
$('call').onclick = tried(() => session.fetch('/auth/me'))

// ---- what can go wrong

$('lose').onclick = tried(async () => {
  await fetch('/auth/demo/lose', { method: 'POST' })
  $('lose').setAttribute('aria-pressed', 'true')
  notice('The answer to the next refresh will be lost on its way. Wait for the access token to expire, then call the API.')
})

$('steal').onclick = tried(async () => {
  stolen = (await (await fetch('/auth/demo/token')).json()).refresh_token
  tell('thief', 'the refresh token was stolen', '!', `the thief holds ${short(stolen)}`)
  $('replay').hidden = false
  $('replay').focus()
  notice('A thief has a copy of your refresh token now. Neither of you can tell, until both have used it.')
})

$('replay').onclick = tried(async () => {
  thieving = true
  const answer = await fetch('/auth/refresh', {
    method: 'POST',
    credentials: 'omit',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ refresh_token: stolen }),
  })
  const content = await answer.json()
  tell('thief', 'the thief · POST /auth/refresh', answer.status, `carries the stolen ${short(stolen)}`, content.error_description)
  setTimeout(() => (thieving = false), 300)
  if (answer.ok) {
    stolen = content.refresh_token
    notice('The thief is in, for now. Your own next refresh will give it away: let the access token expire, and call the API.', true)
  } else {
    stolen = null
    $('replay').hidden = true
    await session.fetch('/auth/me').catch(() => {})
    if (bound) notice('The thief gets nowhere without the key. You stay logged in, and the service knows that somebody has a copy.')
  }
})

// ---- the other device

async function phoneAsks(path, body, token) {
  const answer = await fetch(path, {
    method: body ? 'POST' : 'GET',
    credentials: 'omit',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  })
  return { ok: answer.ok, content: await answer.json() }
}

$('device').onclick = tried(async () => {
  const login = { username: $('username').value, password: $('password').value, device: 'Second device' }
  const { ok, content } = await phoneAsks('/auth/login', login)
  if (!ok) throw new Error(content.error_description)
  tell('good', 'the second device · POST /auth/login', 200, 'a family of its own')
  phone = { ...content, state: 'works' }
  listDevices()
})

/** The second device lives its own life: it uses its access token, and refreshes by itself. */
async function phoneLives() {
  if (!phone || phone.state === 'stopped') return
  const used = phone
  const me = await phoneAsks('/auth/me', null, used.access_token)
  if (me.ok || used !== phone) return
  if (me.content.reason === 'expired') {
    const { ok, content } = await phoneAsks('/auth/refresh', { refresh_token: used.refresh_token })
    if (ok) return void (phone = { ...phone, ...content })
  }
  phone.state = 'stopped'
  phone.after = phone.endedAt && (performance.now() - phone.endedAt) / 1000
  tell('bad', 'the second device · GET /auth/me', 401, me.content.error_description, phone.after && `${phone.after.toFixed(1)} seconds after it was ended, and before it would have expired`)
  listDevices()
}
setInterval(() => phoneLives().catch(() => {}), 400)

async function listDevices() {
  if (!session.user) return
  const answer = await fetch('/auth/demo/sessions').then((answer) => answer.json(), () => null)
  if (!answer) return
  $('list').replaceChildren(
    ...answer.sessions.map((one) => {
      const item = document.createElement('li')
      const about = document.createElement('div')
      about.className = 'grow'
      about.textContent = one.device || 'a device'
      const since = document.createElement('small')
      since.textContent = one.id === session.user?.sid ? 'this one' : `last used at ${new Date(1000 * one.last_used_at).toLocaleTimeString()}`
      if (one.bound) since.textContent += one.bound === 'key' ? ', bound to a key of its own' : ', bound to its device'
      about.append(since)
      const end = document.createElement('button')
      end.textContent = 'End this session'
      end.onclick = tried(async () => {
        if (phone?.session_id === one.id) phone.endedAt = performance.now()
        await session.endSession(one.id)
        listDevices()
      })
      item.append(about, end)
      return item
    }),
  )
  if (phone?.state === 'stopped') {
    const item = document.createElement('li')
    item.className = 'stopped'
    item.textContent = `The second device's access token stopped working${phone.after ? ` ${phone.after.toFixed(1)} seconds after its session was ended` : ''}.`
    $('list').append(item)
  }
}

// ---- the family, straight from the service's events

new EventSource('/auth/demo/events').onmessage = ({ data }) => {
  const event = JSON.parse(data)
  if (event.kind === 'forged_token_refused') return
  if (!families.has(event.session_id)) {
    if (event.kind !== 'logged_in') return
    families.set(event.session_id, new Family(event.session_id))
  }
  families.get(event.session_id).hear(event, thieving)
  if (event.kind === 'logged_in' || event.kind === 'revoked') setTimeout(listDevices, 50)
  paint()
}

function paint() {
  const shown = [...families.values()].slice(-4).reverse()
  const owner = (family) => (family.id === session.user?.sid ? 'this browser' : family.id === phone?.session_id ? 'the second device' : 'an earlier login')
  $('lines').replaceChildren(...shown.map((family) => draw(family, owner(family))))
  const mine = families.get(session.user?.sid)
  if (mine) $('refresh-id').textContent = `link ${mine.head + 1} of its family`
}

// ---- the countdowns

setInterval(() => {
  if (!life) return
  const gone = (performance.now() - life.begun) / 1000
  const left = Math.max(0, life.seconds - gone)
  const card = $('access')
  card.querySelector('.seconds').textContent = left > 0 ? `${Math.ceil(left)} s` : 'expired'
  card.querySelector('.left').style.strokeDashoffset = 100 - (100 * left) / life.seconds
  card.classList.toggle('low', left < life.seconds / 3)
  card.classList.toggle('over', left === 0)
  $('refresh').querySelector('.seconds').textContent = '14 d'
}, 200)

// ---- begin

const account = await (await fetch('/auth/demo/account')).json()
$('username').value = account.username
$('password').value = account.password
await session.restore().catch(() => {})
show()
paint()
