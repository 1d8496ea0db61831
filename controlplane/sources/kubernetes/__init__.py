"""A mesh in a cluster: what the Kubernetes API says.

`api_server` asks, as whom a kubeconfig or the pod says; a `reflector` lists one kind and follows it; `pods`,
`services` and `workloads` read objects by their `fields`; the `assembly` makes objects of the mesh of them,
and the `source` runs it all.
"""
