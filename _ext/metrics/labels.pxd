"""Label sets as text, rendered once per series and copied into every line of it."""

cdef enum:
    # Bytes of one escaped value; names come from peers and must not grow the export without bound.
    LABEL_VALUE_MAX = 512
    LABEL_TEXT_MAX = 4096     # bytes of one label set

cpdef bytes make_labels(object pairs)
