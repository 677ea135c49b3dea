'use client'
// One session for all components of the browser.
import { createSession } from 'tenure-js'

export const session = typeof window === 'undefined' ? null : createSession({ base: '/auth' })
