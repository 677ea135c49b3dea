// Twelve components that fetch in the browser.
import Link from 'next/link'
import { Live } from './live.js'

export default () => (
  <main>
    <ul>
      {Array.from({ length: 12 }, (_, number) => (
        <Live key={number} number={number} />
      ))}
    </ul>
    <Link href="/notes" prefetch={false}>Notes</Link>
  </main>
)
