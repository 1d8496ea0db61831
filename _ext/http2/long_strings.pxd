"""Header strings that are longer than libnghttp2 takes, replaced before it reads them.

It takes 64 KiB as they are encoded, and would end the connection over more.
A block in one frame of the usual size cannot hold one and is not looked at. In any other, a long string
becomes a shorter one that means nothing: like the true one it is no entry of the dynamic table but
empties it, so both ends stay in step. The rest of its bytes becomes fields that mean nothing, which are
passed over when they come out; what was there is kept aside, as far as the limits allow.
"""

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    LONGEST_STRING = 65536

cdef enum Place:
    AT_FIELD, IN_INDEX, IN_TABLE_SIZE, IN_NAME_INDEX, AT_LENGTH, IN_LENGTH, IN_STRING, IN_LONG_STRING
    GIVEN_UP                  # not HPACK, or longer than can be replaced: libnghttp2 ends the connection

cdef struct LongString:
    uint32_t field            # which field of the block has it, from 0
    uint32_t filling          # how many after that mean nothing
    uint32_t length           # encoded
    uint32_t have, room       # bytes in `text`
    int slot                  # where its head has the field; -1: nowhere
    uint8_t* text             # owned
    bint huffman
    bint is_kept              # else: too long for the limit, or a name
    bint is_name

cdef struct BlockScan:
    uint32_t keep             # longest value that is kept
    uint32_t lead             # bytes of the frame before its part of the block
    bint padded               # the first of them says how long the padding is
    uint32_t left             # bytes of the block in the frame
    Place place
    uint32_t number           # under way
    int shift
    bint huffman, is_name
    bint dropping             # the value of a name that was replaced
    uint32_t string           # bytes to come of the string under way
    uint32_t at               # of a long string: how many came
    uint32_t shorter          # what it becomes
    uint32_t fields           # before the one under way
    LongString* strings       # owned
    int count, room

# NULL: no memory; then libnghttp2 decides.
cdef BlockScan* new_scan(uint32_t keep) noexcept nogil
cdef void free_scan(BlockScan* scan) noexcept nogil
cdef void scan_frame(BlockScan* scan, uint32_t length, bint padded, bint with_priority) noexcept nogil
cdef void scan_bytes(BlockScan* scan, uint8_t* p, size_t n) noexcept nogil
# The long string of a field; or NULL, and `passed_over` says whether the field means nothing.
cdef LongString* long_string(BlockScan* scan, uint32_t field, bint* passed_over) noexcept nogil
