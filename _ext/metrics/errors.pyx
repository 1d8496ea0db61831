# cython: language_level=3
"""Counted where an exchange is answered by the proxy itself, and where a connection is given up: never on the
way of what goes well."""

from linkerd2_py._ext.metrics.http cimport (
    ERROR_CANCELLED, ERROR_CONNECT, ERROR_DENIED, ERROR_IO, ERROR_NONE, RESPONSE_ERRORS, response_error_text,
)
from linkerd2_py._ext.metrics.series cimport Counter

cdef bytes REQUESTS = b"Requests that the proxy could not serve, by what kept it from that."
cdef bytes CONNECTIONS = b"Connections that the proxy could not serve, by what kept it from that."


cdef class Errors:
    cdef int count(self, ResponseError error) except -1:
        cdef Counter counter
        if error == ERROR_NONE or error == ERROR_CANCELLED or error == ERROR_DENIED:
            return 0
        counter = <Counter> self.counters[<int> error]
        if counter is None:
            labels = b'error="%s"' % error_word(error)
            if self.labels:
                labels += b"," + self.labels
            counter = self.registry.counted(self.name, self.help, labels)
            self.counters[<int> error] = counter
        counter.count += 1
        return 0


cdef Errors errors_of(Registry registry, bytes name, bytes help, bytes labels):
    cdef Errors errors = Errors.__new__(Errors)
    errors.registry = registry
    errors.name = name
    errors.help = help
    errors.labels = labels
    errors.counters = [None] * <int> RESPONSE_ERRORS
    return errors


cdef Errors http_errors(Registry registry, bytes direction, bytes labels):
    return errors_of(registry, direction + b"_http_errors_total", REQUESTS, labels)


cdef Errors tcp_errors(Registry registry, bytes direction, bytes labels):
    return errors_of(registry, direction + b"_tcp_errors_total", CONNECTIONS, labels)


cdef const char* error_word(ResponseError error) noexcept nogil:
    # Linkerd does not tell a refused connection from one that broke.
    return response_error_text(ERROR_IO if error == ERROR_CONNECT else error)
