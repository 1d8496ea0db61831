"""A mesh on this machine: what its mesh.yaml says.

`mesh_file` reads a mesh.yaml into a `mesh_spec` by the `mesh_rules`, over `yaml_nodes` that remember their lines.
"""
