"""The dashboard: one page in a browser, and the answers that it is made of.

`app` puts together what is served under one origin: the `bundle` that was built from `app/` (TypeScript), the
operations of the public API, in this process or in another (`asked`), and `tap` over a WebSocket. `guard`
stands before all of it. The page reads; nothing that it may ask changes anything.
"""
