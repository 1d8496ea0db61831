"""The fields of a head for Python."""

from linkerd2_py._ext.exchange.head cimport Head

# [(lower-case name, value)] without those that are dropped.
cdef list fields_of(Head head)
