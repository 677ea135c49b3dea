"""The way in from outside: endpoints written once, as flows from a request value to a response value.

No web framework is known here; `asgi.py` adapts them to one. Reading order: `messages` (the values), `service` (what
endpoints know, and how errors leave), `auth`, `oauth`, `admin`, `discovery` (the endpoints), `routes` (the table).
"""
