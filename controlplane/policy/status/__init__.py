"""What statuses say: whether parents take a route and its backends are there, whether an egress network is
outside, which of several limits holds.

`routes`, `networks` and `limits` say of each kind what its status should be and how that is written,
`conditions` how one condition is; `kinds` lists them. `writer` writes them, as the one leader, where they
differ.
"""
