"""One endpoint of a target as discovery names it."""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.io.address cimport Address
from linkerd2_py._ext.tls.identity cimport ServerIdentity

cdef class EndpointSpec:
    cdef readonly Address address
    # Where the same program may listen instead, tried when `address` refuses; or None
    cdef readonly Address other
    cdef readonly bint h2
    cdef readonly bint opaque           # as its target may be: the peer proxy passes bytes on unseen
    cdef readonly tuple labels          # ((name, value), ...): the dst_* labels
    cdef readonly tuple tls             # the labels that say how connections to it are secured, or why not
    cdef readonly ServerIdentity peer   # who must answer there; None: connections are plain
    cdef readonly Limits http2          # of its HTTP/2 connections; None: those of its table
    cdef readonly bint pings_idle       # they are asked whether they live while no stream is open, too
    cdef readonly uint32_t weight       # in ten thousandths: what its share of the load is in proportion to
    cdef readonly bint near             # preferred to those that are not
    # 1: equal but for the address, weight and near, which an endpoint may change without being made anew
    cdef int same(self, EndpointSpec other) except -1
