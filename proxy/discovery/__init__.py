"""What a target is: asked of the destination API, of DNS, or of nobody.

`names.py` decides who is asked, `follow.py` keeps one stream of answers alive, `translate.py` reads the
messages, `endpoint_set.py` applies the rules of their order, `installation.py` puts the result into the
engine, `watch.py` joins these for one target and `resolver.py` for all.
"""
