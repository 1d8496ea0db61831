# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Bodies in the order in which they came."""

from libc.string cimport memcpy

from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.exchange.head cimport FIELD_DROPPED, Field, drop_head, take_head

cdef enum:
    # Of all bodies that were sent, so that they cannot fill the memory; later ones are not kept.
    KEPT_IN_ALL = 67108864

cdef size_t sent_in_all = 0


cdef bint may_be_kept(size_t n) noexcept:
    return sent_in_all + n <= KEPT_IN_ALL


cdef class Kept:

    def __cinit__(self):
        self.body = ByteQueue.__new__(ByteQueue)

    cdef int put(self, const char* p, size_t n, bint end) except -1:
        self.body.put(p, n)
        if end:
            self.end = True
        return 0

    cdef int put_sent(self, const char* p, size_t n, bint end) except -1:
        global sent_in_all
        self.put(p, n, end)
        self.sent += n
        sent_in_all += n
        return 0

    cdef int put_trailers(self, Head trailers) except -1:
        self.trailers = copied(trailers)
        return 0

    cdef bint has_any(self) noexcept:
        return self.end or self.trailers is not None or self.body.size > 0

    cdef int send(self, Stream client) except -1:
        cdef Buffer part = self.body.first
        cdef int outcome = 0
        while part is not None:
            outcome = client.send_body(part.head(), part.size(), self.end and part.next is None)
            part = part.next
        if self.end and self.body.size == 0:
            outcome = client.send_body(NULL, 0, True)
        if self.trailers is not None:
            client.send_trailers(self.trailers)
        return outcome

    cdef int clear(self) except -1:
        global sent_in_all
        sent_in_all -= self.sent
        self.sent = 0
        self.end = False
        self.body.clear()
        if self.trailers is not None:
            drop_head(self.trailers)
            self.trailers = None
        return 0


cdef Head copied(Head head):
    cdef Head copy = take_head()
    cdef Field* field
    cdef char* name
    cdef int i
    copy.status = head.status
    copy.version = head.version
    copy.content_length = head.content_length
    copy.is_grpc = head.is_grpc
    try:
        for i in range(head.count):
            field = &head.fields[i]
            if field.flags & FIELD_DROPPED:
                continue
            name = copy.alloc(field.name_len)
            memcpy(name, field.name, field.name_len)
            copy.put(name, field.name_len, field.value, field.value_len, field.id)
    except BaseException:
        drop_head(copy)
        raise
    return copy
