// DPoP (RFC 9449) with unmodified clients: openid-client and oauth4webapi. They bind a session at its next refresh, use
// it at a resource, answer the server's nonce by themselves; a thief with another key, or none, gets nowhere.
// usage: node dpop.mjs openid-client|oauth4webapi ISSUER CLIENT_ID REFRESH_TOKEN
// Prints one JSON object that says what was seen.
const [library, issuer, clientId, refreshToken] = process.argv.slice(2)
const me = new URL(`${issuer}/auth/me`)

async function withOpenidClient() {
  const client = await import('openid-client')
  const config = await client.discovery(new URL(issuer), clientId, undefined, client.None(), {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })
  const keyPair = await client.randomDPoPKeyPair('ES256')
  const DPoP = client.getDPoPHandle(config, keyPair)
  const thief = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'))
  const bound = await client.refreshTokenGrant(config, refreshToken, undefined, { DPoP })
  const answer = await client.fetchProtectedResource(config, bound.access_token, me, 'GET', undefined, undefined, { DPoP })
  const claims = await answer.json()
  const stolen = []
  for (const options of [undefined, { DPoP: thief }])
    stolen.push(await client.refreshTokenGrant(config, bound.refresh_token, undefined, options).catch((error) => error.error))
  const again = await client.refreshTokenGrant(config, bound.refresh_token, undefined, { DPoP })
  return { types: [bound.token_type, again.token_type], claims, stolen, thumbprint: await DPoP.calculateThumbprint() }
}

async function withOauth4webapi() {
  const oauth = await import('oauth4webapi')
  const insecure = { [oauth.allowInsecureRequests]: true }
  const url = new URL(issuer)
  const server = await oauth.processDiscoveryResponse(url, await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure }))
  const client = { client_id: clientId }
  const handle = async () => oauth.DPoP(client, await oauth.generateKeyPair('ES256'))
  const refresh = async (token, DPoP) => {
    const ask = () => oauth.refreshTokenGrantRequest(server, client, oauth.None(), token, { DPoP, ...insecure })
    const read = async () => oauth.processRefreshTokenResponse(server, client, await ask())
    return read().catch((error) => {
      if (DPoP && oauth.isDPoPNonceError(error)) return read()
      throw error
    })
  }
  const [DPoP, thief] = [await handle(), await handle()]
  const bound = await refresh(refreshToken, DPoP)
  const answer = await oauth.protectedResourceRequest(bound.access_token, 'GET', me, undefined, undefined, { DPoP, ...insecure })
  const claims = await answer.json()
  const stolen = []
  for (const key of [undefined, thief]) stolen.push(await refresh(bound.refresh_token, key).catch((error) => error.error))
  const again = await refresh(bound.refresh_token, DPoP)
  return { types: [bound.token_type, again.token_type], claims, stolen, thumbprint: await DPoP.calculateThumbprint() }
}

const seen = await { 'openid-client': withOpenidClient, oauth4webapi: withOauth4webapi }[library]()
console.log(JSON.stringify(seen))
