// Before a page is rendered: whoever has no session, or one whose access token is about to expire, is redirected.
import { NextResponse } from 'next/server'
import { sessions } from './sessions.js'

export async function proxy(request) {
  return (await sessions.guard(request)) ?? NextResponse.next()
}

export const config = { matcher: ['/notes/:path*', '/live/:path*'] }
