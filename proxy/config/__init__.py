"""The environment of a sidecar: `LINKERD2_PROXY_*` to one frozen `Config`.

`table` declares every setting once, as a `setting` with its parser, its default and what it is for;
`parse` reads single values, `load` gathers all problems and builds the values of `types`, `identity`
those of identity. `tools/document_settings.py` writes the declarations into the README.
"""
