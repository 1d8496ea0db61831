# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""What is new is known before a request comes; a request is only cut."""

import re

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr, memcpy

# What a request line may have, but for a fragment (`exchange/sound`).
cdef object PATH = re.compile(rb"/[\x21\x22\x24-\x7e\x80-\xff]{0,4095}\Z")
cdef object BEGINNING = re.compile(rb"/[\x21\x22\x24-\x3e\x40-\x7e\x80-\xff]{0,4095}\Z")
cdef object ABOVE_ASCII = re.compile(rb"[\x80-\xff]")


cdef class NewPath:
    def __init__(self, bytes text not None, *, Py_ssize_t cut=-1):
        if (PATH if cut < 0 else BEGINNING).match(text) is None:
            raise ValueError(f"{text[:100]!r} is no path")
        text = ABOVE_ASCII.sub(lambda found: b"%%%02X" % found[0][0], text)
        self.text = text if cut < 0 else text.removesuffix(b"/")
        self.cut = max(cut, -1)
        self.asks = b"?" in text

    cdef Halves halves(self, Head head) noexcept:
        cdef Halves found
        cdef size_t length = path_length(head.path)
        cdef size_t cut = length if self.cut < 0 else min(<size_t> self.cut, length)
        if self.asks:
            cut = head.path.len
        found.rest.ptr = head.path.ptr + cut
        found.rest.len = head.path.len - cut
        found.text.ptr = PyBytes_AS_STRING(self.text)
        found.text.len = PyBytes_GET_SIZE(self.text)
        if found.text.len == 0 and (found.rest.len == 0 or found.rest.ptr[0] != c"/"):
            found.text.ptr = "/"
            found.text.len = 1
        return found

    cdef Span of(self, Head head) except *:
        cdef Halves halves = self.halves(head)
        cdef Span path
        cdef char* place
        path.len = halves.text.len + halves.rest.len
        path.ptr = place = head.alloc(path.len)
        memcpy(place, halves.text.ptr, halves.text.len)
        memcpy(place + halves.text.len, halves.rest.ptr, halves.rest.len)
        return path


cdef inline size_t path_length(Span path) noexcept:
    """Without the query."""
    cdef const char* mark = NULL
    if path.len:
        mark = <const char*> memchr(path.ptr, c"?", path.len)
    return path.len if mark == NULL else mark - path.ptr
