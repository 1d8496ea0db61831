"""The environment of a sidecar: `LINKERD2_PROXY_*` to one frozen `Config`.

`table.py` lists every variable with its parser and default, `parse.py` reads single values, `load.py`
gathers all problems and builds the values of `types.py`, `identity.py` those of identity.
"""
