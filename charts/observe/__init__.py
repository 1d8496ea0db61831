"""What a Prometheus and a Grafana are told about a mesh, each said once in Python: which targets are
scraped and how their series are called (`scraping`), what is computed and warned of (`rules`), what is
drawn (`dashboards`). The chart, local meshes and tests use the same.
"""
