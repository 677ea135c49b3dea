"""The way in from outside: endpoints written once, as flows from a request value to a response value.

No framework is known here: `tenure.integrations` has those. `messages` (requests, responses, errors), `cookies`,
`service` (what endpoints share) and `rate_limits` are what the endpoints stand on; `routes` is the table of them all.
"""
