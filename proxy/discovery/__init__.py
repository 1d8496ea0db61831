"""What a target is: asked of the destination API, of DNS, or of nobody.

Outbound, `decision` says who is asked, `lookups` asks, `messages` reads what is answered, `installation`
puts it into the engine, `watch` joins these for one target and `discovery` for all. `inbound` knows the
workload's own targets without asking. `refusal` is for those that are none.
"""
