"""Local mode: the whole mesh as supervised processes, on loopback addresses without root or in network namespaces with it.

The command line starts a process of `supervisor` through `launcher` and hears of it by `reports` and the `state_dir`. It
`watch`es mesh.yaml; the `fleet` keeps a `workload` for each entry, and that a `pod` for each replica, where the
`network` gives it a place, as its `plan` says: two `container`s, which keep one `process` running each and are `probe`d. The
`ingress` is the way in; `launch` puts programs in their place (a network namespace, `netns`), and with `guard` sees to it that
nothing outlives us. By what `pod_identity` gives it a proxy proves who it is. A network is one of loopback `addresses`, or
`transparent`, with names by `dns` and virtual addresses by `service_rules`. The sample application that runs when no mesh.yaml
is given lives in `sample`.
"""
