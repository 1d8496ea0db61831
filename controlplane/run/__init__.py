"""Composition: the only place that names sources, stores and listeners."""
