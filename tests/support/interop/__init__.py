"""A cluster without kubelets: a real API server, control planes and proxies of either make, each pod in a
network namespace of its own.
"""
