"""The control plane: what proxies and people ask about the mesh, in plain Python on one event loop.

A source of `sources` fills the store of `mesh`; `destination` computes from it what proxies want to know,
`identity` certifies workloads, `proxy_api` serves both over gRPC; `public_api` scrapes the proxies and
answers people's tools over HTTP. `app` builds all of it; `local` is the source of a mesh on one machine: it
runs the programs and their proxies.
"""
