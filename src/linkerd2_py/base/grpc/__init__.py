"""gRPC as a client, over the engine's own HTTP/2: calls are balanced, measured and encrypted like any other
traffic. `frames` is the message framing, `status` the codes, `client` the calls.
"""
