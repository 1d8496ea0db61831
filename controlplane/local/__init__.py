"""Local mode: the whole mesh as supervised processes, on loopback addresses without root or in network
namespaces with it.

`supervise` runs pods and follows mesh.yaml, `programs` keeps each process of them running, `place` says where
they live, `names` answers their DNS questions, `ingress` is the way in, `state` is what stays on disk. The
sample application that runs when no mesh.yaml is given lives in `sample`.
"""
