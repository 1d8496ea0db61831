"""How this proxy comes by its certificate and keeps it fresh: `certify` asks for one, `renewal` says when.

The key and the request for it were made by whoever ran before this process and became it: nothing here
makes keys or parses certificates.
"""
