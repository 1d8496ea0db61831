"""What a cluster needs to have a mesh, as one Python tree: the source of `install`, of Helm charts and of
what the injector puts into pods.

`nodes` is the language of the tree. `evaluate` makes plain objects of it and of `values`; `helm` prints it as
templates of which Helm makes equal objects.
"""
