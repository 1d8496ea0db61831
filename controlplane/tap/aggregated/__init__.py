"""The door in a cluster: an API of its own, `tap.linkerd.io/v1alpha1`, behind the cluster's API server.

Users ask the API server with what they are known by there. It passes on who they are in headers, which count
only with its own certificate as a client (`front_proxy`); whether they may watch is asked of it in turn
(`review`). `app` answers, at `paths`; `asked` is the other side, for a process that watches as its own
account.
"""
