// The template's front end after it was moved over: src/session.ts is new, the rest is what changes in the other files.
import axios from 'axios'
import { QueryCache, QueryClient } from '@tanstack/query-core' // @tanstack/react-query in the template
import { createSession, SignedOut } from '/api/v1/auth/tenure.js' // or from 'tenure-js'

// src/session.ts
export const session = createSession({ base: '/api/v1/auth' }) // `${import.meta.env.VITE_API_URL}/api/v1/auth`

// src/main.tsx: in place of OpenAPI.TOKEN. The generated client sends by axios.
const send = (...all) => (session.user ? session.fetch : fetch)(...all)
Object.assign(axios.defaults, { adapter: 'fetch', env: { ...axios.defaults.env, fetch: send } })

const handleApiError = (error) => {
  if (error instanceof SignedOut || error.cause instanceof SignedOut || error.response?.status === 401) globalThis.navigate('/login')
}
export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: handleApiError }),
  defaultOptions: { queries: { retry: false } },
})
const old = localStorage.getItem('access_token') // of before
if (old) {
  const { ok, status } = await fetch('/api/v1/login/exchange', { method: 'POST', headers: { Authorization: `Bearer ${old}` } })
  if (ok || status < 500) localStorage.removeItem('access_token')
}
await session.restore() // before the router is made, so that isLoggedIn() knows

// src/hooks/useAuth.ts
export const isLoggedIn = () => session.user !== null
export const login = (data) => session.login(data.username, data.password)
export const logout = async () => {
  await session.logout()
  queryClient.clear()
  globalThis.navigate('/login')
}
