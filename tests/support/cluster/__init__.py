"""A real Kubernetes for tests and for people: the programs of tests/cluster/programs, run on this machine.

`programs` builds them once, `keys` makes who they are to each other, `control_plane` runs etcd,
kube-apiserver and kube-controller-manager, `keeper` is the process that holds them, and `python -m
tests.support.cluster` starts and ends it.
"""
