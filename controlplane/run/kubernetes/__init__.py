"""The processes of a control plane in a cluster, one for each component.

`process` is what all of them are: an admin server with `health` and metrics, and an orderly end. A module for
each component puts it together; `cluster` is the mesh that some of them follow, `events` what one of them
tells the cluster.
"""
