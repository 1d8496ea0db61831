"""The store of a mesh without a Prometheus: a `scraper` reads each proxy's `exposition` into a `ring` of
samples, and `queries` answer from it as Prometheus would. `store` is how everybody else sees that.
"""
