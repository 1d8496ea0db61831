"""The pod's other programs: `init` writes the rules of interception, `validator` checks them, `identity`
makes the key.

They run before the proxy, or become it; the proxy imports none of them.
"""
