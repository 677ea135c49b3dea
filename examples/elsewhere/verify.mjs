// Checks an access token with the public keys alone. Usage: node verify.mjs JWKS_URL ISSUER AUDIENCE < token
import { text } from 'node:stream/consumers'
import { createRemoteJWKSet, jwtVerify } from 'jose'

const [jwksUrl, issuer, audience] = process.argv.slice(2)

// Make one for the whole application: it keeps the keys, and fetches them anew when a token names another one.
const keys = createRemoteJWKSet(new URL(jwksUrl))

try {
  const token = (await text(process.stdin)).trim()
  const { payload } = await jwtVerify(token, keys, { issuer, audience, typ: 'at+jwt', requiredClaims: ['exp', 'sub'] })
  // A token that is bound to a key (RFC 9449) needs a proof of that key, which comes with the request.
  if (payload.cnf) throw new Error('bound to a key: not to be used without its proof')
  console.log(payload.sub, payload.sid, payload.client_id)
} catch (refused) {
  console.error('refused:', refused.message)
  process.exitCode = 1
}
