/** The claims of an access token (RFC 9068). */
export interface User {
  sub: string
  sid: string
  client_id: string
  scope?: string
  [claim: string]: unknown
}

/** The session of a request. */
export interface RequestSession {
  readonly user: User
  /** The access token, for what is not `fetch`. */
  readonly token: string
  /** The platform's fetch with the access token. Throws TypeError for an address that is not among `apis`. */
  fetch: typeof fetch
}

export interface ServerOptions {
  /** The access tokens' `iss`: the public address of the site. */
  issuer: string
  audience: string
  /** Where this server reaches tenure. Default: `issuer`. */
  service?: string
  /** The path of tenure's endpoints, here and there. Default: "/auth". */
  base?: string
  /** What the cookies' names begin with. Default: "tenure". */
  prefix?: string
  /** Addresses whose origins may get the access token. Default: `service`'s. */
  apis?: string[]
  /** Origins of pages whose forms and scripts may use the cookie. Default: `issuer`'s. */
  origins?: string[]
  /** Follow the feed of ended sessions. Default: true. False where nothing can run between requests. */
  revocations?: boolean
  /** How far clocks may differ, in seconds. Default: 5. */
  clockSkew?: number
  /** The time in milliseconds since 1970. Default: Date.now. */
  clock?: () => number
  /** What sends requests. Default: the platform's fetch. */
  fetch?: typeof fetch
}

export interface ServerSessions {
  /** The session of a request, or of its headers where nothing is changed; null without one. Throws if the keys can't be fetched. */
  of(request: Request | Headers | { get(name: string): string | null }): Promise<RequestSession | null>
  /** Null if the request may go on; otherwise what to answer: a redirect that refreshes, for a navigation, or 401. */
  guard(request: Request): Promise<Response | null>
  /** Stop following the feed. */
  close(): void
}

export function createSessions(options: ServerOptions): ServerSessions
