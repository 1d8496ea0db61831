"""Who sent what a server half stands for."""

from linkerd2_py._ext.exchange.stream cimport Stream
from linkerd2_py._ext.io.transport cimport Transport

# That of a server half; None where it is gone, or has none.
cdef Transport transport_of(Stream half)
