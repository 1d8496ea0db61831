"""Local mode: the whole mesh as supervised processes on loopback addresses, without root.

`supervisor` composes the parts; `pod` and `container` run processes; `allocate` gives addresses
and ports; `state` is what the command line reads to find a running mesh. The sample application
that runs when no mesh.yaml is given lives in `sample`.
"""
