# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The frame meter reads nine bytes of each frame and nothing of its payload; libnghttp2 stays the only parser."""

from linkerd2_py._ext.http2.nghttp2 cimport NGHTTP2_DATA, NGHTTP2_FLAG_ACK, NGHTTP2_FLAG_END_STREAM, NGHTTP2_HEADERS, NGHTTP2_PING, NGHTTP2_RST_STREAM, NGHTTP2_SETTINGS

cdef enum:
    HEADER_BYTES = 9
    FLOOR = 10                 # limits that may be saved up: covers one window update per stream of a full burst

cdef int64_t PERIOD_NS = 10000000000
cdef int64_t SECOND_NS = 1000000000


cdef inline void count_frame(FrameMeter* meter, const uint8_t* h) noexcept nogil:
    cdef uint32_t length = (<uint32_t> h[0] << 16) | (<uint32_t> h[1] << 8) | h[2]
    cdef uint8_t kind = h[3]
    cdef uint32_t id = (<uint32_t> h[5] << 24) | (<uint32_t> h[6] << 16) | (<uint32_t> h[7] << 8) | h[8]
    meter.skip = length
    if kind == NGHTTP2_DATA and id == meter.ended:
        meter.late = id
    if kind == NGHTTP2_RST_STREAM or (kind <= NGHTTP2_HEADERS and h[4] & NGHTTP2_FLAG_END_STREAM):
        meter.ended = id
        meter.reset = kind == NGHTTP2_RST_STREAM
    # What a reset costs is known only with its stream.
    if kind == NGHTTP2_HEADERS or kind == NGHTTP2_RST_STREAM:
        return
    if kind == NGHTTP2_DATA:
        if length == 0 and not h[4] & NGHTTP2_FLAG_END_STREAM:
            meter.cheap += 1
        return
    # An answer to our own frame costs us nothing more; everything else (PRIORITY, CONTINUATION, WINDOW_UPDATE, unknown types) is counted.
    if (kind == NGHTTP2_PING or kind == NGHTTP2_SETTINGS) and h[4] & NGHTTP2_FLAG_ACK:
        return
    meter.cheap += 1


cdef void meter_frames(FrameMeter* meter, const uint8_t* p, size_t n) noexcept nogil:
    meter.cheap = meter.late = 0
    while n:
        if meter.skip:
            if meter.skip >= n:
                meter.skip -= <uint32_t> n
                return
            p += meter.skip
            n -= meter.skip
            meter.skip = 0
        if meter.have == 0 and n >= HEADER_BYTES:
            count_frame(meter, p)
            p += HEADER_BYTES
            n -= HEADER_BYTES
            continue
        meter.header[meter.have] = p[0]
        meter.have += 1
        p += 1
        n -= 1
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
