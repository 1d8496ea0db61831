"""The hunt for faults: what is wrong with a mesh, most likely causes first, each in a sentence.

`gather` asks the metrics protocol and looks at the mesh, once; what comes of it is `evidence`. Each
module of `kinds` is a pure function from evidence to findings of one kind; `ranked` puts all of them in
order. Nothing here decides whether a mesh may be used: that is what `checks` are for.
"""
