"""How a command finds the public API: `public_api` asks each way in turn, from what is said most clearly
to what is only there.

A way is a module: `flag` is what this command was told, `local` the mesh that runs on this machine, `cluster`
the one of the kubeconfig.
"""
