"""The names of a transparent mesh: what a cluster's DNS does for pods.

`zone` knows what a name of the mesh means, `messages` reads queries and writes answers, `forwarder` asks
the machine's own name servers for everything else, `server` is the server pods talk to.
"""
