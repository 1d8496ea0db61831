"""The checks of a cluster, in Linkerd's categories and words: what its API server says of the objects of a
control plane, Linkerd's or ours.

Each module has the checks of one or two categories, made from the same `Asked`; `checks` puts them in order.
"""
