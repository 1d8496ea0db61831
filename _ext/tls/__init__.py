"""TLS between workloads, with OpenSSL: `credentials` are who a workload is and whom it trusts, `identity` holds the ones in force.

`stream` is a transport that encrypts; `verify` decides whether a peer is who it must be. Identity follows Linkerd: one DNS-like name in the
certificate of each workload, TLS 1.3 only, a chain to the anchors of the mesh and to nothing else.
"""
