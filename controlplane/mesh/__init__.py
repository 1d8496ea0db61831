"""The mesh as typed objects, given by sources and watched by everything else.

`objects` are what there is, `store` holds it and tells what changed.
"""
