"""`linkerd2-py cni`: pods get their packet filter rules from the node, and need no init container for them.

    kubelet ─► container runtime ─► the cluster's own plugins ─► linkerd-cni (the launcher, on the host)
                                                               │ unix socket, with the pod's namespace
    API server ◄── which pod, with which annotations ── `agent` ─► `linkerd2-py proxy-init` in there

The launcher is a program of C in `image/programs`, for a node has no Python. The agent runs in the
DaemonSet's pod, and `host` keeps its node set up: the launcher among the plugins, an entry in the list of
plugins that the runtime reads (`conflist`). `decision` says what a pod gets. `repair` deletes pods that came
up before the node was ready. Without an answer no pod gets a network: that an agent is away delays pods, and
never lets one out unseen.
"""
