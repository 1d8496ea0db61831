"""From accept to codec, and from request to endpoint: the part that Python talks to.

A `ProxyServer` takes connections in and finds their `Target` in a `TargetTable`, which asks the shell about those it
does not know; a `ConnectionRouter` does the same for the requests of one connection. `local` is for exchanges with
Python at one end: the proxy's own requests, and its admin server.
"""
