"""The rotation of a mesh's trust anchor, one safe step after the other: `identity rotate-anchors`.

`steps` says what comes next and what must be waited for, from what was seen and nothing else; `look` sees it
in a cluster, `act` does a step there, `tell` puts both into words. What has been reached is in the cluster,
so that whoever comes next goes on, from whatever machine.
"""
