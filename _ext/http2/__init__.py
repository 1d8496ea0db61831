"""HTTP/2: a server and a client codec over libnghttp2, which does frames, HPACK and windows.

`session` is what both sides share, `half` one stream of it, and `stream_table` finds a stream by what the
library keeps of it. `callbacks` makes the library's sessions; what they call stands in `received` and `sent`.
`block` collects a header block into a head, `fields` makes one of a head, `long_strings` lets through what
the library would not take, and `meter` is our budget for what a peer makes us do.
"""
