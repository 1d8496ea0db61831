"""Names outside the mesh: a stub resolver that keeps what the system's resolver hides, the TTL.

`message.py` is the wire format (RFC 1035), `settings.py` reads resolv.conf and hosts, `ask.py` puts one
question to one server, `resolver.py` turns a name into addresses, `watch.py` follows a name for as long
as it is in use.
"""
