/**
 * <tenure-devices>: "Your devices" inside a page. The server writes it, in the user's language; here it is shown,
 * styled by CSS variables, and its forms are sent with the session's access token.
 *
 *   document.querySelector('tenure-devices').session = createSession()
 */

const BASE = '/auth'
const HOST = ':host { display: block } main.tenure-devices.tenure-devices { background: none }\n'
const written = globalThis.trustedTypes?.createPolicy('tenure-devices', { createHTML: (html) => html })

export class TenureDevices extends HTMLElement {
  #session
  #root = this.attachShadow({ mode: 'open' })
  #latest = 0

  constructor() {
    super()
    this.#root.addEventListener('submit', (event) => {
      event.preventDefault()
      this.#submit(event.submitter)
    })
  }

  /** What sends the requests: what createSession() has returned. Setting it loads the list. */
  get session() {
    return this.#session
  }
  set session(session) {
    this.#session?.removeEventListener('signedin', this.#reload)
    this.#session?.removeEventListener('signedout', this.#clear)
    this.#session = session
    session?.addEventListener('signedin', this.#reload)
    session?.addEventListener('signedout', this.#clear)
    this.#reload()
  }

  /** Load the list anew. */
  reload() {
    return this.#load('GET')
  }

  #reload = () => this.#session?.restore().then((user) => (user ? this.reload() : this.#clear()), this.#failed)

  #clear = () => {
    this.#latest++
    this.#root.replaceChildren()
  }

  async #submit(button) {
    if ('current' in button.dataset) return this.#session.logout()
    const buttons = this.#root.querySelectorAll('button')
    for (const one of buttons) one.disabled = true
    await this.#load('POST', new URLSearchParams({ end: button.value }))
    for (const one of buttons) one.disabled = false // those of a list that is still there
  }

  async #load(method, body) {
    const latest = ++this.#latest
    const language = this.closest('[lang]')?.lang
    const headers = { Accept: 'text/html', ...(language && { 'Accept-Language': language }) }
    try {
      const base = (this.getAttribute('base') ?? BASE).replace(/\/$/, '')
      const answer = await this.#session.fetch(`${base}/devices`, { method, body, headers })
      const html = await answer.text()
      if (latest !== this.#latest) return
      if (!answer.ok) throw new Error(`answered ${answer.status}`)
      this.#show(html)
    } catch (problem) {
      if (problem.name !== 'SignedOut') this.#failed(problem)
    }
  }

  #show(html) {
    const style = new CSSStyleSheet()
    const markup = html.replace(/<style>([^]*?)<\/style>/, (_, css) => (style.replaceSync(HOST + css), ''))
    this.#root.adoptedStyleSheets = [style] // which no policy of the page forbids
    const list = new DOMParser().parseFromString(written?.createHTML(markup) ?? markup, 'text/html').querySelector('main')
    list.querySelector('.home')?.remove()
    this.#root.replaceChildren(list)
    const message = list.querySelector('.message[role=status]')
    message?.setAttribute('tabindex', '-1')
    message?.focus()
    this.dispatchEvent(new CustomEvent('shown'))
  }

  #failed = (problem) => {
    const list = this.#root.querySelector('main') ?? this.#root.appendChild(document.createElement('main'))
    list.querySelector('.failure')?.remove()
    const said = Object.assign(document.createElement('p'), { className: 'failure', role: 'alert' })
    said.textContent = list.dataset.failed ?? 'That did not work. Try again in a moment.'
    list.prepend(said)
    said.scrollIntoView({ block: 'nearest' })
    this.dispatchEvent(new CustomEvent('failed', { detail: problem }))
  }
}

if (!customElements.get('tenure-devices')) customElements.define('tenure-devices', TenureDevices)
