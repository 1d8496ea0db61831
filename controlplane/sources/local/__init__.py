"""A mesh on this machine: what its mesh.yaml says, and what its supervisor knows.

`mesh_file` reads a mesh.yaml into a `mesh_spec` by the `mesh_rules`, over `yaml_nodes` that remember their
lines. `source` publishes its services and workloads, and each `replica` that the supervisor tells it of, as
objects of the mesh.
"""
