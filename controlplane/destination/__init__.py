"""Discovery: which endpoints a name has, and how its traffic is to be treated, as streams.

`targets` reads what is asked for, `endpoints` and `profiles` compute the answer from the mesh, `translator`
encodes it, `topics` say what it depends on and which changes can touch that; `answers` hold it between two
changes, for `streams` to fan out. `destination` is the component with its metrics.
"""
