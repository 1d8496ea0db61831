"""HTTP/2: a server and a client codec over libnghttp2, which does frames, HPACK and windows.

`session` is what both sides share, with one half a stream; `callbacks` is where the library calls in,
`fields` turns its header blocks into heads and back, `meter` is our budget for what a peer makes us do.
"""
