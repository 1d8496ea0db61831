"""The mesh as typed objects, given by one source and watched by everything else.

`objects` are what there is, `table` keeps one kind of them with its indexes, `changes` tells what became
different, in order; `store` puts these together: what is read (`Mesh`), and where a source writes.
"""
