"""`linkerd2-py proxy-init`: the packet filter rules that bring a pod's traffic to its proxy.

`arguments` reads Linkerd's flags, `rules` turns them into the text of each family, `programs` chooses
between iptables' two backends, and `apply` loads both texts or neither. Run once before the proxy; never
imported by it.
"""
