"""Manifests of Kubernetes: read from wherever they are, and written without other changes."""
