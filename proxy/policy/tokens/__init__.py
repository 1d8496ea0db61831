"""JSON Web Tokens of requests: what one says, whose keys it is signed by, and whom it lets in.

Imported where a policy asks for tokens, and not before: most proxies never need it.
"""
