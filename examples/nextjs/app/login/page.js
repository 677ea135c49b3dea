'use client'
import { session } from '../session.js'

export default function Login() {
  async function enter(event) {
    event.preventDefault()
    const { username, password } = Object.fromEntries(new FormData(event.target))
    await session.login(username, password, { device: 'Browser' })
    const next = new URL(new URLSearchParams(location.search).get('next') ?? '/notes', location.href)
    location.assign(next.origin === location.origin ? next : '/notes')
  }
  return (
    <form onSubmit={enter}>
      <input name="username" autoComplete="username" aria-label="Name" />
      <input name="password" type="password" autoComplete="current-password" aria-label="Password" />
      <button>Log in</button>
    </form>
  )
}
