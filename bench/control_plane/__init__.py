"""The control plane with a middling cluster in its store: what each kind of question and change costs, and
how long it keeps the loop.

`python -m bench.control_plane` prints one line of JSON. `mesh` has the objects, `cost` measures, `cases` are
what is done; `readers` stand for proxies in the same process, `connections`, `alone` and `asking` for proxies
over gRPC, `relays` and `relaying` for proxy-apis in between, `cluster` and `syncing` for an API server and
who follows it, `known_metrics` for a metrics store.
"""
