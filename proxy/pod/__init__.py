"""The pod's other programs: `init` writes the rules of interception, `validator` checks them, `identity`
makes the key, `await_ready` waits for the proxy.

They run before the proxy or beside its start, or become it; the proxy imports none of them.
"""
