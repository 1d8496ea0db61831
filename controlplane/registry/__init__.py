"""The mesh as typed objects, kept by one source (mesh.yaml here) and watched by everything else."""
