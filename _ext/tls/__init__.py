"""TLS between workloads, with OpenSSL: `credentials` are who a workload is and whom it trusts, `identity`
holds the ones in force.

`channel` is one connection between memory and memory, judged by `party` on the `terms` of the mesh;
`transport` puts it on a socket. Identity follows Linkerd: one DNS-like name in the certificate of each
workload, TLS 1.3 only, a chain to the anchors of the mesh and to nothing else.
"""
