"""The identity service: signs the key of a workload that proves who it is, and says why when it does not.

`names` are what certificates hold, `csr` and `tokens` say who may have one, `certifier` makes it, `issuer` is
what signs (`files` and `reload` keep it as the files on disk are), `ca` makes anchors and issuers; `service`
answers over gRPC, `identity` composes.
"""
