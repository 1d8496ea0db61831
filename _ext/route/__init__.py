"""From accept to codec, and from request to endpoint: the part that Python talks to.

A connection is an `Arrival` until its `Target` is found in a `TargetTable`, which asks the shell about those
it does not know, and until it is known what it speaks. Then the `ProxyServer` puts a codec on it, whose
`ConnectionRouter` finds the targets of its requests, or it is an `OpaqueConnection`. `local_client` and
`local_server` are for exchanges with Python at one end: the proxy's own requests, and its admin server.
`call_server` is the control plane's: a server of gRPC, each of whose `Call`s Python answers.
"""
