"""Linkerd's 26 latency buckets as one C struct (header-only): recorded in nanoseconds, exported in
milliseconds."""

from libc.stdint cimport int64_t, uint64_t

cdef extern from *:
    """
    #ifndef L5D_LATENCY_BOUNDS
    #define L5D_LATENCY_BOUNDS
    /* Padded with the largest value to a power of two, so that the search needs no bounds check and no
       branch. */
    #define L5D_MS(n) ((int64_t) (n) * 1000000)
    static const int64_t l5d_bound_ns[32] = {
        L5D_MS(1), L5D_MS(2), L5D_MS(3), L5D_MS(4), L5D_MS(5),
        L5D_MS(10), L5D_MS(20), L5D_MS(30), L5D_MS(40), L5D_MS(50),
        L5D_MS(100), L5D_MS(200), L5D_MS(300), L5D_MS(400), L5D_MS(500),
        L5D_MS(1000), L5D_MS(2000), L5D_MS(3000), L5D_MS(4000), L5D_MS(5000),
        L5D_MS(10000), L5D_MS(20000), L5D_MS(30000), L5D_MS(40000), L5D_MS(50000),
        INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX
    };
    #endif
    """
    const int64_t l5d_bound_ns[32]

cdef enum:
    BUCKETS = 26              # the last one is +Inf

cdef struct Histogram:
    uint64_t counts[26]       # not cumulative; the writer adds them up
    # Exported as whole milliseconds; in microseconds so that fast responses still add up.
    uint64_t sum_us

cdef inline int bucket_of(int64_t latency_ns) noexcept nogil:
    """Index of the first bound that is not below `latency_ns`, 0..25."""
    cdef int at = (l5d_bound_ns[15] < latency_ns) << 4
    at += (l5d_bound_ns[at + 7] < latency_ns) << 3
    at += (l5d_bound_ns[at + 3] < latency_ns) << 2
    at += (l5d_bound_ns[at + 1] < latency_ns) << 1
    at += l5d_bound_ns[at] < latency_ns
    return at

cdef inline void record(Histogram* histogram, int64_t latency_ns) noexcept nogil:
    """Count one latency of at least 0 ns."""
    histogram.counts[bucket_of(latency_ns)] += 1
    histogram.sum_us += <uint64_t> latency_ns // 1000
