"""What is written into a cluster by one of several processes, and only where it differs.

`writer` does it for subjects that follow from the mesh; `pace` keeps it from arguing.
"""
