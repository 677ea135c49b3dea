/** The claims of an access token. */
export interface User {
  sub: string
  sid: string
  [claim: string]: unknown
}

/** A live session, for a list. Times are in seconds since 1970, UTC. */
export interface Session {
  id: string
  device: string
  client_id: string
  scope: string
  created_at: number
  last_used_at: number
  expires_at: number
  ends_at: number
  lifetime: string
  bound: 'key' | 'device' | null
  current: boolean
}

/** The session is over, or there is none: a fresh login is needed. */
export class SignedOut extends Error {
  readonly reason: string | null
}

/** No definite answer could be had. The session is kept; trying again later is right. */
export class RefreshFailed extends Error {}

/** What a resource asks for (RFC 9470): how old an authentication may be, in seconds; of which classes. */
export interface StepUp {
  maxAge: number | null
  acrValues?: string[]
}

/** A resource asks for it, and the application has not let the user authenticate once more. */
export class StepUpRequired extends Error implements StepUp {
  readonly maxAge: number | null
  readonly acrValues?: string[]
}

export interface Options {
  /** Where tenure's endpoints are. Default: "/auth". */
  base?: string
  /** Further origins that the access token may be sent to. Default: only this page's and `base`'s. */
  origins?: string[]
  /** Bind sessions to a key of this browser that no script can read (DPoP). Default: false. */
  bind?: boolean
  /** Let the user authenticate once more, at `/step-up` or in your own way. Say whether to repeat the request. */
  stepUp?: (needs: StepUp) => Promise<boolean> | boolean
  /** What sends requests. Default: the platform's fetch. */
  fetch?: typeof fetch
}

export interface Events {
  signedin: CustomEvent<{ user: User }>
  refreshed: CustomEvent<{ user: User }>
  signedout: CustomEvent<{ reason: string | null }>
  /** This origin refuses even a new access token; until that is older, refusals there are not answered by a refresh. */
  refused: CustomEvent<{ origin: string }>
  /** A resource asks the user to authenticate once more (RFC 9470). */
  stepup: CustomEvent<StepUp>
}

export interface BrowserSession {
  /** The claims of whoever is signed in, or null. */
  readonly user: User | null
  /** As the platform's fetch, with the access token; refreshed and repeated where that is needed. */
  fetch: typeof fetch
  /** An access token that is good for a moment more, for whatever is not `fetch`. */
  token(): Promise<string>
  /** Another access token than the one that was refused. */
  renewed(refused: string): Promise<string>
  login(username: string, password: string, options?: { device?: string; remember?: boolean }): Promise<User>
  /** Takes effect here at once; if the server can't be reached, it is told before anybody is signed in again. */
  logout(): Promise<void>
  /** Find out, after a page has loaded, whether somebody is signed in. */
  restore(): Promise<User | null>
  sessions(): Promise<Session[]>
  endSession(id: string): Promise<null>
  endOthers(): Promise<{ ended: number }>
  addEventListener<K extends keyof Events>(type: K, listener: (event: Events[K]) => void): void
  removeEventListener<K extends keyof Events>(type: K, listener: (event: Events[K]) => void): void
}

export function createSession(options?: Options): BrowserSession
