"""HTTP/1: our own parser and serializer, and a server and a client codec on them.

`scan` classifies bytes, `parser` and `fields` read a head, `body` its framing, `faults` names every reason to
refuse; `serializer` writes from the parsed form only. `session` is what the codecs `server` and `client`
share.
"""
