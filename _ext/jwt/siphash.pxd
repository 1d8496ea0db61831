"""SipHash-2-4 with 128 bits: a digest that nobody can aim at who does not know its key."""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

cdef struct Sip:
    uint64_t a, b, c, d

cdef inline uint64_t turned(uint64_t x, int by) noexcept nogil:
    return x << by | x >> (64 - by)

cdef inline void mix(Sip* v) noexcept nogil:
    v.a += v.b
    v.b = turned(v.b, 13) ^ v.a
    v.a = turned(v.a, 32)
    v.c += v.d
    v.d = turned(v.d, 16) ^ v.c
    v.a += v.d
    v.d = turned(v.d, 21) ^ v.a
    v.c += v.b
    v.b = turned(v.b, 17) ^ v.c
    v.c = turned(v.c, 32)

cdef inline uint64_t word_at(const char* p) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, p, 8)
    return word

# `key` and `into` have 16 bytes. The same on every machine only where that has the low byte first.
cdef inline void siphash128(const char* key, const char* p, size_t n, char* into) noexcept nogil:
    cdef Sip v
    cdef uint64_t first = word_at(key), second = word_at(key + 8), word
    cdef size_t left = n
    cdef size_t i
    v.a = first ^ 0x736f6d6570736575ULL
    v.b = second ^ 0x646f72616e646f6dULL ^ 0xee
    v.c = first ^ 0x6c7967656e657261ULL
    v.d = second ^ 0x7465646279746573ULL
    while left >= 8:
        word = word_at(p)
        v.d ^= word
        mix(&v)
        mix(&v)
        v.a ^= word
        p += 8
        left -= 8
    word = <uint64_t> n << 56
    for i in range(left):
        word |= <uint64_t> (<uint8_t> p[i]) << (8 * i)
    v.d ^= word
    mix(&v)
    mix(&v)
    v.a ^= word
    v.c ^= 0xee
    for i in range(4):
        mix(&v)
    word = v.a ^ v.b ^ v.c ^ v.d
    memcpy(into, &word, 8)
    v.b ^= 0xdd
    for i in range(4):
        mix(&v)
    word = v.a ^ v.b ^ v.c ^ v.d
    memcpy(into + 8, &word, 8)
