// Twelve components that are rendered in parallel on the server, each with a call to the API on the user's behalf.
import { headers } from 'next/headers'
import Link from 'next/link'
import { Suspense } from 'react'
import { API, sessions } from '../../sessions.js'

async function Note({ number }) {
  const session = await sessions.of(await headers())
  const answer = await session.fetch(`${API}/api/notes/${number}`)
  return <li>{answer.ok ? (await answer.json()).text : `refused: ${answer.status}`}</li>
}

export default () => (
  <main>
    <ul>
      {Array.from({ length: 12 }, (_, number) => (
        <Suspense key={number} fallback={<li>…</li>}>
          <Note number={number} />
        </Suspense>
      ))}
    </ul>
    <Link href="/live" prefetch={false}>Live</Link>
  </main>
)
