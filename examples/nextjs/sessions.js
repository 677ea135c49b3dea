// issuer: the public address of this site, as the API is told. service: where this server reaches the API.
import { createSessions } from 'tenure-js/server'

export const API = process.env.API ?? 'http://127.0.0.1:8000'

export const sessions = createSessions({
  issuer: process.env.SITE ?? 'http://127.0.0.1:3000',
  audience: 'notes',
  service: API,
})
