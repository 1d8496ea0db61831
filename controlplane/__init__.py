"""The control plane: what proxies and people ask about the mesh, in plain Python on one event loop.

A source of `sources` fills the store of `mesh`; `destination` computes from it what proxies want to know,
`identity` certifies workloads, `streams` fan answers out and `proxy_api` serves them over gRPC; `metrics`
keeps samples of the proxies, and `public_api` answers people's tools over HTTP. `run` composes all of it;
`local` runs the programs of a mesh on one machine, and their proxies.
"""
