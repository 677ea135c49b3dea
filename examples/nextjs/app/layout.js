export const metadata = { title: 'Notes' }

export default ({ children }) => (
  <html lang="en">
    <body>{children}</body>
  </html>
)
