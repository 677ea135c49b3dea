/**
 * What tenure needs of the platform and some versions of React Native lack. Import it before `tenure-js/client`.
 *
 * Randomness and whole URLs come from packages that are made for them: import `react-native-get-random-values` and
 * `react-native-url-polyfill/auto` before this.
 */
if (!globalThis.crypto?.getRandomValues) throw new Error('There is no source of randomness: import react-native-get-random-values first.')

globalThis.EventTarget ??= class {
  #listeners = []

  addEventListener(type, listener) {
    this.#listeners.push({ type, listener })
  }

  removeEventListener(type, listener) {
    this.#listeners = this.#listeners.filter((one) => one.type !== type || one.listener !== listener)
  }

  dispatchEvent(event) {
    for (const { type, listener } of this.#listeners) if (type === event.type) listener(event)
    return true
  }
}

globalThis.CustomEvent ??= class {
  constructor(type, { detail = null } = {}) {
    Object.assign(this, { type, detail })
  }
}

AbortSignal.timeout ??= (milliseconds) => {
  const controller = new AbortController()
  setTimeout(() => controller.abort(), milliseconds)
  return controller.signal
}

/** RFC 9562, version 4. */
crypto.randomUUID ??= () => {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
