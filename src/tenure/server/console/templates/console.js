// The overview keeps itself fresh: events are added as they happen, numbers and charts are fetched anew.
const FRESH_MS = 10_000
const KEPT = 200
const feed = document.getElementById('feed')

function element(name, text, properties = {}) {
  return Object.assign(document.createElement(name), { textContent: text, ...properties })
}

function row({ at, kind, subject, reason, by, address }) {
  const item = element('li', '', { className: kind })
  item.append(element('time', new Date(1000 * at).toISOString().slice(11, 16)), ' ', element('b', kind.replaceAll('_', ' ')))
  if (subject) item.append(' ', element('a', subject, { href: `/person?subject=${encodeURIComponent(subject)}` }))
  if (reason) item.append(` ${reason}`)
  if (by) item.append(` by ${by}`)
  if (address) item.append(' ', element('span', address, { className: 'soft' }))
  return item
}

async function freshen() {
  if (document.hidden) return
  const answer = await fetch(location.href, { redirect: 'manual' }).catch(() => null)
  if (answer?.type === 'opaqueredirect') return location.reload() // logged out
  if (!answer?.ok) return
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  const fresh = page.querySelectorAll('[data-live]')
  document.querySelectorAll('[data-live]').forEach((part, number) => {
    if (!part.contains(document.activeElement) || document.activeElement === document.body) part.replaceWith(fresh[number])
  })
}

if (feed) {
  new EventSource('/events').onmessage = ({ data }) => {
    feed.prepend(row(JSON.parse(data)))
    while (feed.children.length > KEPT) feed.lastChild.remove()
  }
  setInterval(freshen, FRESH_MS)
}
