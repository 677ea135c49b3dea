import type { BrowserSession, Options } from './tenure.js'

export { RefreshFailed, SignedOut, StepUpRequired } from './tenure.js'
export type { Events, StepUp, User } from './tenure.js'

/** What is kept between two runs: an object that JSON can hold. It has the refresh token in it: guard it. */
export type State = Record<string, unknown>

export interface Storage {
  get(): State | null | Promise<State | null>
  /** Null: forget it. */
  set(state: State | null): void | Promise<void>
}

export interface ClientOptions extends Omit<Options, 'base' | 'bind'> {
  /** The whole address of tenure's endpoints, like "https://api.example.com/auth". */
  base: string
  /** Where the refresh token is kept. Default: in memory. */
  storage?: Storage
  /** Run `work` while no other process that shares the storage does. Default: one at a time in this process. */
  lock?: <T>(work: () => Promise<T>) => Promise<T>
  /** The time in milliseconds since 1970. Default: Date.now. */
  clock?: () => number
}

export function createClient(options: ClientOptions): BrowserSession

export function inMemory(state?: State | null): Storage

export function inTurn(): <T>(work: () => Promise<T>) => Promise<T>
