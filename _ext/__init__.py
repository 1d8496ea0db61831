"""The engine: mechanism in Cython under the shell's policy. README.md has its rules.

Bytes arrive on a `Transport` (`io`), `detect` names their protocol, a codec (`http1`, `http2`) cuts them into
exchanges (`exchange`), `route` finds the target of each, `balance` and `pool` its endpoint and a connection
to it; `metrics` counts on the way and `core` is what all of them stand on.
"""
