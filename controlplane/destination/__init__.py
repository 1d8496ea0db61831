"""Discovery: which endpoints a name has, and how its traffic is to be treated, as streams.

`targets` reads what is asked for, `endpoints` and `profiles` compute the answer from the mesh, `translator` encodes it,
`topics` says which changes can touch it; `watches` keeps one answer a target and gives each subscriber a bounded
`stream` of it. `destination` is the component with its metrics.
"""
