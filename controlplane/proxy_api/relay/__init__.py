"""A tier between proxies and destination: each question is asked there once, whoever asks it here.

`questions` say what of a request matters, `memory` is what an answer has said so far, `links` are the
connections; the `relay` asks and fans out, and `service` serves it to proxies.
"""
