"""The HTTP endpoints, written once, as flows from a request value to a response value.

They know no framework; `tenure.integrations` adapts them. They build on `messages` (requests, responses, errors),
`cookies`, `service` (what endpoints share) and `rate_limits`. `routes` is the table of all endpoints.
"""
