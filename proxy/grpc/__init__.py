"""gRPC as a client, over the proxy's own HTTP/2 engine: control traffic is balanced, measured and later
encrypted like any other. `frames.py` is the message framing, `status.py` the codes, `client.py` the calls.
"""
