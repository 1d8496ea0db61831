"""One module for each thing that may be asked. It declares the operation (what may be asked, what the answer
looks like), and answers it from the mesh, from `MetricsStore`, or from destination and identity; who keeps
metrics, and how, it never knows.
"""
