"""The store of a mesh with a Prometheus: `promql` writes each question as an expression, `api` asks it, and
`store` is how everybody else sees that. Prometheus scrapes the proxies itself, by the jobs of
`charts/observe/scraping.py`.
"""
