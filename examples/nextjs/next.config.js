// tenure's endpoints and the API are behind this site, so that browsers see one origin and its cookies.
const API = process.env.API ?? 'http://127.0.0.1:8000'

export default {
  rewrites: async () => [
    { source: '/auth/:path*', destination: `${API}/auth/:path*` },
    { source: '/api/:path*', destination: `${API}/api/:path*` },
  ],
}
