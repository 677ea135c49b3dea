import type { BrowserSession } from './tenure.js'

/** `<tenure-devices>`: where the user is logged in. It shows nothing until it has a session. */
export class TenureDevices extends HTMLElement {
  /** What sends the requests: what `createSession()` has returned. */
  session: BrowserSession | undefined
  /** Load the list anew. */
  reload(): Promise<void>
  addEventListener(type: 'shown', listener: (event: CustomEvent) => void): void
  addEventListener(type: 'failed', listener: (event: CustomEvent<Error>) => void): void
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void
}

declare global {
  interface HTMLElementTagNameMap {
    'tenure-devices': TenureDevices
  }
}
