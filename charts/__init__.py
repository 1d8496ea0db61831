"""What a cluster needs to have a mesh, as Helm charts. `linkerd-crds` holds no templates: `kubectl apply
--recursive` takes them as they are.
"""
