"""Where pods live: on loopback `addresses`, or, `transparent`, in network namespaces of their own.

A `network` gives a replica its place, as its `plan` says.
"""
