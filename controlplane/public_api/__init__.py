"""The JSON API for people's tools, and the embedded metrics store that answers it.

In: `scraper` reads every proxy's `exposition` into the `ring`. Out: `web` checks a request against its `parameters`,
an entry of `operations` answers it from `listings`, `certificates`, `selfcheck` (with `identity_checks` and `leaf_checks`), `edges`, or
`stats`, which turns a `stat_query` into the closed set of `queries` over the ring. `openapi` describes the operations, `server` listens.
"""
