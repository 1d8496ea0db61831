"""Supervision: what runs follows the newest mesh.yaml, and nothing outlives us.

The `supervisor` watches mesh.yaml; the `fleet` keeps a `workload` for each entry, and that a `pod` for
each replica, whose programs run. `health` and `silence` say what is wrong with them, `remarks` what of a
mesh.yaml cannot be as it says. The command line
starts a supervisor through `launcher` and hears of it by `reports`.
"""
