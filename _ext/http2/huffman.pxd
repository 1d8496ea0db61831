"""The Huffman code of HPACK (RFC 7541 appendix B), for the strings that libnghttp2 does not decode for us."""

from libc.stdint cimport uint8_t

# How many characters `coded` stands for, written to `text` where that is not NULL; -1: it is no such code.
cdef Py_ssize_t huffman_decode(const uint8_t* coded, size_t length, char* text) noexcept nogil
