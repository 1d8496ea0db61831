"""Pods as network namespaces: the real interception of a Kubernetes pod, on one machine, as root.

`subnet` chooses addresses that nobody else has, `commands` says in iproute2's words what is made,
`programs` runs it, `node` is the router in the middle (bridge, service rules, names, the way to the
host), `network` gives each replica its namespace, and `sweep` removes what belongs to a mesh, also to one
that died.

    host ── l5d0 ──┐
                   │ node namespace: bridge, virtual service addresses, resolver, control plane's sockets
                   ├── veth ── namespace of web-0:    proxy (own uid) + program, redirected by proxy-init
                   └── veth ── namespace of voting-1
"""
