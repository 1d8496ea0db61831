"""Composition: the only place that names sources, stores and listeners.

`components` has a function for each part of a control plane; `local` joins them in one process, and
`supervisor` is the process of a local mesh, which has that control plane in it; `kubernetes` has the
processes of a cluster's.
"""
