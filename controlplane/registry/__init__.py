"""The mesh as typed objects, kept by one source (mesh.yaml here) and watched by everything else.

`types` are the objects and `registry` holds them. `mesh_file` reads a mesh.yaml into a `mesh_spec` by the `mesh_rules`,
over `yaml_nodes` that remember their lines.
"""
