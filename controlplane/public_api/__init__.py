"""The JSON API for people's tools.

`operations` are put together from `answers`, one module for each thing that may be asked. Each is an
`operation`: a declaration of what may be asked and what the answer looks like, by which `web` checks requests
and `openapi` describes them; `encode` writes answers, `server` listens. Answers come from the mesh, from a
metrics store and from destination, never from who fills these.
"""
