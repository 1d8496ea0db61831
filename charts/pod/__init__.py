"""What a meshed pod gets beside its own containers, as trees: the injector evaluates them, and pods of
the control plane have them in their templates.

All paths below `/usr/lib/linkerd`, and all names of containers, volumes and variables, are Linkerd's: so
a pod runs with either's images.
"""
