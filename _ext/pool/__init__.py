"""An endpoint with its connections: idle HTTP/1 ones, HTTP/2 ones with free streams, a spare that proves it
reachable, and back-off while it is not.
"""
