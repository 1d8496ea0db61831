"""EndpointSlices for the external workloads that services select, as the cluster's own controller writes them
for pods: with them, every client of the cluster finds these programs.

`wanted` says who belongs into the slices of a service, `edits` what is to be done to those that are there;
`objects` is how they are written, and `writer` writes them, as the one leader.
"""
