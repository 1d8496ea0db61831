"""Header blocks received: what libnghttp2 decodes, collected into one of our heads and judged."""

from libc.stdint cimport uint8_t, uint32_t
from linkerd2_py._ext.core.limits cimport Limits
from linkerd2_py._ext.exchange.head cimport Field, Head
from linkerd2_py._ext.http2.long_strings cimport BlockScan, LongString
from linkerd2_py._ext.http2.nghttp2 cimport nghttp2_rcbuf

cdef enum Collected:
    COLLECTED
    COLLECTED_NOT          # over a limit: the field is forgotten, the message will be refused
    COLLECTED_BOMB         # far over, or no memory for it: what follows is decoded only to stay in step

cdef enum Verdict:
    VERDICT_GOOD
    VERDICT_MALFORMED
    VERDICT_OVERSIZED
    VERDICT_CONNECT

cdef class Block:
    """One header block while it arrives, and as long as its head is read.

    The head's spans point into buffers that this holds.
    """
    cdef Head head                   # owned; from the free list of heads
    cdef nghttp2_rcbuf** held        # owned array of owned references
    cdef int held_count, held_room
    cdef uint32_t bytes              # decoded size, about as the same head would have in HTTP/1
    # All crumbs of the cookie as the one that they become; neither pseudo-fields nor, within bounds,
    # ours.
    cdef uint32_t fields
    cdef uint32_t ours               # l5d-* fields that do not count
    cdef int crumbs
    cdef uint32_t seen               # fields that came out of a block that spans frames
    cdef bint oversized

    # Whether a field of this name and size fits, once it is counted.
    cdef Collected count(self, const char* name, size_t length, size_t value_len, Limits limits) noexcept
    cdef Collected collect(self, nghttp2_rcbuf* name, nghttp2_rcbuf* value, uint8_t flags,
        Limits limits) noexcept
    # The same in a block that spans frames: what was replaced in it comes back.
    cdef Collected collect_spanning(self, BlockScan* scan, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
        uint8_t flags, Limits limits) noexcept
    cdef Collected await_long(self, LongString* string, nghttp2_rcbuf* name, uint8_t flags,
        Limits limits) noexcept
    # Called at the end of the block: the long values themselves.
    cdef Collected finish_long(self, BlockScan* scan, Limits limits) except? COLLECTED_BOMB
    cdef Collected take_long(self, LongString* string, Field* field, Limits limits) except? COLLECTED_BOMB
    cdef bint make_room(self) noexcept                   # for one more field; false: no memory
    cdef Verdict finish_request(self) except? VERDICT_CONNECT
    cdef Verdict finish_response(self) except? VERDICT_CONNECT
    cdef int hold(self, nghttp2_rcbuf* buffer) noexcept  # there must be room
    cdef int pseudo(self, const char* name, size_t length, const char* value, size_t value_len) noexcept
    cdef bint settle_authority(self) noexcept
    cdef int read_known(self) except -1
    cdef int join_cookies(self) except -1
    cdef int clear(self) except -1

cdef Block take_block()
cdef int drop_block(Block block) except -1
