"""Local mode: the whole mesh as supervised processes on loopback addresses, without root.

The command line starts a process of `supervisor` through `launcher` and hears of it by `reports` and the `state_dir`. It
`watch`es mesh.yaml; the `fleet` keeps a `workload` for each entry, and that a `pod` for each replica, at one of the
`addresses`, as its `plan` says: two `container`s, which keep one `process` running each and are `probe`d. The
`ingress` is the way in; `launch` and `guard` see to it that nothing outlives us. The sample application that runs when
no mesh.yaml is given lives in `sample`.
"""
