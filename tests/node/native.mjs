// The client where the platform is as narrow as React Native's. Usage: node native.mjs BASE
for (const name of ['EventTarget', 'CustomEvent', 'BroadcastChannel', 'navigator', 'localStorage', 'structuredClone']) delete globalThis[name]
delete AbortSignal.timeout
const { getRandomValues } = crypto
Object.defineProperty(globalThis, 'crypto', { value: { getRandomValues: (bytes) => getRandomValues.call(original, bytes) } })
const original = (await import('node:crypto')).webcrypto

await import('tenure-js/react-native')
const { createClient, inMemory } = await import('tenure-js/client')
const storage = inMemory()
const client = createClient({ base: process.argv[2], storage })
const heard = []
client.addEventListener('signedin', ({ detail }) => heard.push(detail.user.sub))
await client.login('ada', 'correct horse battery')
const statuses = [(await client.fetch(`${process.argv[2]}/me`)).status]
await fetch(process.argv[2].replace('/auth', '/control/expire'))
statuses.push((await client.fetch(`${process.argv[2]}/me`)).status)
const attempts = crypto.randomUUID()
await client.logout()
console.log(JSON.stringify({ heard, statuses, attempts, kept: storage.get() }))
process.exit()
