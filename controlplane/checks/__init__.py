"""What is asked of a mesh by `check`, where its answers are: in the control plane.

`control_plane` are the questions that the control plane puts to itself, `trust` and `leaves` those
about certificates. Whoever fills the mesh may have more; all give `result`s.
"""
