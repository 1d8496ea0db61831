"""A node for the cluster: real pods, on this machine, beside everything else that runs on it.

`machine` makes a place that looks like a machine of its own (namespaces, cgroups, a network), in which `pid1`
is the first process; `settings` are the files of the programs that run there; `images` writes images and
brings them in; `names` is cluster DNS; `door` lets this machine's loopback in; `cluster` is all of it together.
Tests see a `node` that runs, a `mesh` that is installed in it, and `workloads` to run there.
"""
