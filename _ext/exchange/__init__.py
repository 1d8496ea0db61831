"""One request with its response, between any two codecs.

A codec gives each message a half (`Stream`) and its heads as spans (`Head`); the `Exchange` joins a server
half and a client half, asks a `Router` where to go and a `Backend` for the client half, moves bodies and
pauses across, and counts. `translation` says what is done between the protocols of the two sides
(`orig_proto` carries HTTP/1 over HTTP/2 between proxies), `error_response` how the proxy answers in its own
name, `verdict` what an end tells of the endpoint. A `Plan` is what was decided about the exchanges of one
route; an `Observer` looks on at those whose plan names it.
"""
