"""The proxy's parts and how they are joined: `inbound` and `outbound` read as the path of a connection,
where it comes in, what its target is, who serves it. `control` is for the connections that the proxy
makes on its own account, `admin` for those that ask about it.

Each function takes what is built so far, `parts`, and adds to it.
"""
