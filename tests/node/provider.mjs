// An OpenID Connect provider that nobody here wrote: oidc-provider. Usage: node provider.mjs PORT APPLICATION
import Provider from 'oidc-provider'

const [port, application] = process.argv.slice(2)
const provider = new Provider(`http://localhost:${port}`, {
  clients: [
    {
      client_id: 'notes',
      client_secret: 'secret-of-this-example',
      redirect_uris: [`${application}/callback`],
      backchannel_logout_uri: `${application}/backchannel-logout`,
      backchannel_logout_session_required: true,
    },
  ],
  cookies: { keys: ['of the provider'] },
  features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: true } },
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // its own refuses to reach this machine
  pkce: { required: () => true },
})
provider.on('backchannel.error', (context, problem) => console.error('backchannel', problem.message))
provider.on('backchannel.success', () => console.log('told'))
provider.listen(Number(port), '127.0.0.1', () => console.log('ready'))
