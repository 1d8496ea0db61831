# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The frame meter reads nine bytes of each frame: libnghttp2 stays the only parser.

Of payload it looks only at header blocks that span frames.
"""

from libc.string cimport memcpy
from linkerd2_py._ext.http2.long_strings cimport LONGEST_STRING, free_scan, new_scan, scan_bytes, scan_frame
from linkerd2_py._ext.http2.nghttp2 cimport (
    NGHTTP2_CONTINUATION, NGHTTP2_DATA, NGHTTP2_FLAG_ACK, NGHTTP2_FLAG_END_HEADERS,
    NGHTTP2_FLAG_END_STREAM, NGHTTP2_FLAG_PADDED, NGHTTP2_FLAG_PRIORITY, NGHTTP2_HEADERS, NGHTTP2_PING,
    NGHTTP2_RST_STREAM, NGHTTP2_SETTINGS,
)

cdef enum:
    HEADER_BYTES = 9
    FULL_BYTES = 1024          # of a CONTINUATION that is worth its frame
    # Limits that may be saved up: covers one window update per stream of a full burst.
    FLOOR = 10

cdef int64_t PERIOD_NS = 10000000000
cdef int64_t SECOND_NS = 1000000000


cdef inline uint32_t length_of(const uint8_t* h) noexcept nogil:
    return (<uint32_t> h[0] << 16) | (<uint32_t> h[1] << 8) | h[2]


cdef inline void count_frame(FrameMeter* meter, const uint8_t* h) noexcept nogil:
    cdef uint32_t length = length_of(h)
    cdef uint8_t kind = h[3]
    cdef uint32_t id
    meter.skip = length
    if meter.in_block or spans(h):
        scan_header(meter, h)
    if kind <= NGHTTP2_HEADERS or kind == NGHTTP2_RST_STREAM:
        memcpy(&id, h + 5, sizeof(id))
        if kind == NGHTTP2_DATA and id == meter.ended:
            meter.late = id
        if kind == NGHTTP2_RST_STREAM or h[4] & NGHTTP2_FLAG_END_STREAM:
            meter.ended = id
            meter.reset = kind == NGHTTP2_RST_STREAM
    # What a reset costs is known only with its stream.
    if kind == NGHTTP2_HEADERS or kind == NGHTTP2_RST_STREAM:
        return
    if kind == NGHTTP2_DATA:
        if length == 0 and not h[4] & NGHTTP2_FLAG_END_STREAM:
            meter.cheap += 1
        return
    if kind == NGHTTP2_CONTINUATION and length >= FULL_BYTES:
        return
    # An answer to our own frame costs us nothing more; everything else (PRIORITY, CONTINUATION,
    # WINDOW_UPDATE, unknown types) is counted.
    if (kind == NGHTTP2_PING or kind == NGHTTP2_SETTINGS) and h[4] & NGHTTP2_FLAG_ACK:
        return
    meter.cheap += 1


cdef inline bint spans(const uint8_t* h) noexcept nogil:
    """Whether a block begins here that may have a string too long for libnghttp2."""
    return h[3] == NGHTTP2_HEADERS and (not h[4] & NGHTTP2_FLAG_END_HEADERS or length_of(h) > LONGEST_STRING)


cdef void scan_header(FrameMeter* meter, const uint8_t* h) noexcept nogil:
    cdef bint head = h[3] == NGHTTP2_HEADERS
    if spans(h):
        free_scan(meter.scan)
        meter.scan = new_scan(meter.keep)
        meter.in_block = meter.scan != NULL
    elif h[3] != NGHTTP2_CONTINUATION:
        meter.in_block = False
    if meter.in_block:
        meter.ends_block = h[4] & NGHTTP2_FLAG_END_HEADERS
        scan_frame(meter.scan, length_of(h), head and h[4] & NGHTTP2_FLAG_PADDED,
            head and h[4] & NGHTTP2_FLAG_PRIORITY)


cdef size_t meter_frames(FrameMeter* meter, uint8_t* p, size_t n) noexcept nogil:
    cdef size_t left = n, step
    meter.cheap = meter.late = 0
    while left:
        if meter.skip:
            step = min(left, <size_t> meter.skip)
            if meter.in_block:
                scan_bytes(meter.scan, p, step)
            meter.skip -= <uint32_t> step
        elif meter.have == 0 and left >= HEADER_BYTES:
            if left < n and spans(p):
                break
            step = HEADER_BYTES
            count_frame(meter, p)
        else:
            step = 1
            take_header_byte(meter, p[0])
        p += step
        left -= step
        if meter.in_block and meter.ends_block and meter.skip == 0 and meter.have == 0:
            meter.in_block = False
            break
    return n - left


cdef void take_header_byte(FrameMeter* meter, uint8_t byte) noexcept nogil:
    meter.header[meter.have] = byte
    meter.have += 1
    if meter.have == HEADER_BYTES:
        meter.have = 0
        count_frame(meter, meter.header)


cdef bint spend(Budget* budget, uint32_t count, int64_t now) noexcept nogil:
    if count == 0:
        return False
    if now - budget.since > PERIOD_NS:
        budget.since = now
        if budget.spent > 0:
            budget.spent = 0
    budget.spent += <int32_t> count
    return budget.spent > budget.limit


cdef void earn(Budget* budget, int32_t count) noexcept nogil:
    cdef int64_t left = <int64_t> budget.spent - count
    if left >= -<int64_t> FLOOR * budget.limit:
        budget.spent = <int32_t> left


cdef void open_bucket(Bucket* bucket, int64_t burst, int64_t per_second) noexcept nogil:
    bucket.whole_at = 0
    bucket.each_ns = max(SECOND_NS // per_second, <int64_t> 1)
    bucket.burst_ns = burst * bucket.each_ns


cdef bint draw(Bucket* bucket, uint32_t count, int64_t now) noexcept nogil:
    bucket.whole_at = max(bucket.whole_at, now) + count * bucket.each_ns
    return bucket.whole_at - now > bucket.burst_ns
