// Refresh, verify against the JWKS, introspect and revoke with unmodified clients: openid-client and oauth4webapi.
// usage: node clients.mjs openid-client|oauth4webapi ISSUER CLIENT_ID SECRET_OR_PRIVATE_JWK REFRESH_TOKEN AUDIENCE
// Prints one JSON object that says what was seen.
import * as jose from 'jose'

const [library, issuer, clientId, secretOrKey, refreshToken, audience] = process.argv.slice(2)

const key = secretOrKey.startsWith('{') && { key: await jose.importJWK(JSON.parse(secretOrKey), 'ES256') }

async function verify(jwksUri, accessToken) {
  const keys = jose.createRemoteJWKSet(new URL(jwksUri))
  const { payload } = await jose.jwtVerify(accessToken, keys, { issuer, audience, typ: 'at+jwt' })
  return payload
}

async function withOpenidClient() {
  const client = await import('openid-client')
  const [secret, auth] = key ? [undefined, client.PrivateKeyJwt(key)] : [secretOrKey, undefined]
  const config = await client.discovery(new URL(issuer), clientId, secret, auth, {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })
  const refreshed = await client.refreshTokenGrant(config, refreshToken)
  const claims = await verify(config.serverMetadata().jwks_uri, refreshed.access_token)
  const before = await client.tokenIntrospection(config, refreshed.refresh_token)
  await client.tokenRevocation(config, refreshed.refresh_token)
  const after = await client.tokenIntrospection(config, refreshed.refresh_token)
  const refused = await client.refreshTokenGrant(config, refreshed.refresh_token).catch((error) => error)
  return { claims, rotated: refreshed.refresh_token !== refreshToken, before, after, refused: refused.error }
}

async function withOauth4webapi() {
  const oauth = await import('oauth4webapi')
  const insecure = { [oauth.allowInsecureRequests]: true }
  const url = new URL(issuer)
  const discovered = await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure })
  const server = await oauth.processDiscoveryResponse(url, discovered)
  const client = { client_id: clientId }
  const auth = key ? oauth.PrivateKeyJwt(key) : oauth.ClientSecretPost(secretOrKey)
  const answer = await oauth.refreshTokenGrantRequest(server, client, auth, refreshToken, insecure)
  const refreshed = await oauth.processRefreshTokenResponse(server, client, answer)
  const claims = await verify(server.jwks_uri, refreshed.access_token)
  const introspect = async () =>
    oauth.processIntrospectionResponse(
      server,
      client,
      await oauth.introspectionRequest(server, client, auth, refreshed.refresh_token, insecure),
    )
  const before = await introspect()
  const revoked = await oauth.revocationRequest(server, client, auth, refreshed.refresh_token, insecure)
  await oauth.processRevocationResponse(revoked)
  const after = await introspect()
  const again = await oauth.refreshTokenGrantRequest(server, client, auth, refreshed.refresh_token, insecure)
  const refused = await oauth.processRefreshTokenResponse(server, client, again).catch((error) => error)
  return { claims, rotated: refreshed.refresh_token !== refreshToken, before, after, refused: refused.error }
}

const seen = await { 'openid-client': withOpenidClient, oauth4webapi: withOauth4webapi }[library]()
console.log(JSON.stringify(seen))
