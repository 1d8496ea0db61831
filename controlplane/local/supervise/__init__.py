"""Supervision: what runs follows the newest mesh.yaml, and nothing outlives us.

The `supervisor` watches mesh.yaml; the `fleet` keeps a `workload` for each entry, and that a `pod` for each replica: two
`container`s, which keep one `process` running each and are `probe`d. `launch` puts programs in their place, and `guard`
ends what a supervisor left behind. The command line starts a supervisor through `launcher` and hears of it by `reports`.
"""
