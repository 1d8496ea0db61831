"""What a peer's frames cost us beyond what they bring.

Raw frame headers are counted before they are parsed, against budgets that refill with time and use.
"""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from linkerd2_py._ext.http2.long_strings cimport BlockScan

cdef struct FrameMeter:
    uint32_t skip          # bytes to pass before the next frame header: payload, or the client preface
    uint32_t have          # bytes of `header` already collected
    uint8_t header[9]
    uint32_t cheap         # frames of the last call that cost more than they carry
    # The stream that the peer ended or reset most recently, as in the frame: in network order.
    uint32_t ended
    uint32_t late          # the same if it sent DATA after that in the last call; else 0
    bint reset             # it was reset
    # Owned: of a header block that spans frames, until libnghttp2 has read it; NULL: there is none.
    BlockScan* scan
    uint32_t keep          # what it may keep of a string
    bint in_block          # such a block is under way
    bint ends_block        # with this frame

cdef enum:
    EARNED_PER_FRAME = 4   # cheap frames (window updates, pings) that one frame of ours may cause
    PREFACE_BYTES = 24     # the client connection preface (RFC 9113 section 3.4), before the first frame

# How many of the bytes libnghttp2 is to read next: a header block that spans frames comes alone, and
# what it cannot take of one is replaced.
cdef size_t meter_frames(FrameMeter* meter, uint8_t* p, size_t n) noexcept nogil

# Spent within the current period; earned units count below zero, to a floor, so that a busy peer's burst
# is covered by the work that came before it.
cdef struct Budget:
    int64_t since
    int32_t spent
    int32_t limit

# A token bucket, kept as the one moment at which all that was drawn has come back.
cdef struct Bucket:
    int64_t whole_at
    int64_t each_ns        # in which one token comes back
    int64_t burst_ns       # in which all do

cdef void open_bucket(Bucket* bucket, int64_t burst, int64_t per_second) noexcept nogil
# Returns true when there was too little left.
cdef bint draw(Bucket* bucket, uint32_t count, int64_t now) noexcept nogil

cdef bint spend(Budget* budget, uint32_t count, int64_t now) noexcept nogil    # true: exceeded
cdef void earn(Budget* budget, int32_t count) noexcept nogil
