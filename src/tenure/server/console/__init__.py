"""The operators' console: `tenure serve --console-port`, on a port of its own.

`app.py` puts it together, `operators.py` says who may use it, `views.py` has its pages, `history.py` what they draw,
`channel.py` brings the events of all workers.
"""
