# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A walk over the representations of a block (RFC 7541 section 6).

It must stop at any byte and go on in the next read.
"""

from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memcpy, memset

cdef enum:
    # A length's third byte, which is all of it that is changed, counts in steps of 2 ** 14.
    SHORT_STEP = 14
    # Fit for a value as it is, and "&" as Huffman code: eight bits, so any number of them is a string.
    FILLER = 0xF8
    EMPTY_FIELD = 0x90        # indexed: accept-encoding, a field like any other
    # Of the rest: a literal field named accept-charset, whose value of 126 is all that it is.
    PIECE = 129
    PIECE_VALUE = 126


cdef BlockScan* new_scan(uint32_t keep) noexcept nogil:
    cdef BlockScan* scan = <BlockScan*> calloc(1, sizeof(BlockScan))
    if scan != NULL:
        scan.keep = keep
    return scan


cdef void free_scan(BlockScan* scan) noexcept nogil:
    cdef int i
    if scan == NULL:
        return
    for i in range(scan.count):
        free(scan.strings[i].text)
    free(scan.strings)
    free(scan)


cdef void scan_frame(BlockScan* scan, uint32_t length, bint padded, bint with_priority) noexcept nogil:
    scan.padded = padded
    scan.lead = (1 if padded else 0) + (5 if with_priority else 0)
    if length < scan.lead:
        scan.place = GIVEN_UP
        return
    scan.left = length - scan.lead


cdef void scan_bytes(BlockScan* scan, uint8_t* p, size_t n) noexcept nogil:
    cdef size_t step
    while n and scan.place != GIVEN_UP and (scan.lead or scan.left):
        if scan.lead:
            take_lead(scan, p[0])
            step = 1
        else:
            step = scan_some(scan, p, min(n, <size_t> scan.left))
            scan.left -= <uint32_t> step
        p += step
        n -= step


cdef void take_lead(BlockScan* scan, uint8_t byte) noexcept nogil:
    scan.lead -= 1
    if not scan.padded:
        return
    scan.padded = False
    if byte > scan.left:
        scan.place = GIVEN_UP
    else:
        scan.left -= byte


cdef size_t scan_some(BlockScan* scan, uint8_t* p, size_t n) noexcept nogil:
    """Takes at least one byte of the block, and no more than one representation or string; how many."""
    cdef size_t step
    if scan.place == IN_LONG_STRING:
        return replace(scan, p, n)
    if scan.place != IN_STRING:
        scan_byte(scan, p)
        return 1
    step = min(n, <size_t> scan.string)
    if scan.dropping:
        memset(p, EMPTY_FIELD, step)
    scan.string -= <uint32_t> step
    if scan.string == 0:
        end_string(scan)
    return step


cdef void scan_byte(BlockScan* scan, uint8_t* p) noexcept nogil:
    cdef uint8_t byte = p[0]
    if scan.place == AT_FIELD:
        begin_field(scan, byte)
    elif scan.place == AT_LENGTH:
        scan.huffman = byte >= 128
        if scan.dropping:
            p[0] = EMPTY_FIELD
        begin_number(scan, byte, 127, IN_LENGTH)
        if scan.place != IN_LENGTH:
            begin_string(scan)
    elif scan.place == IN_LENGTH:
        more_length(scan, p)
    elif byte < 128:
        # The end of an index, or of a table size: which one is libnghttp2's concern.
        end_number(scan)


cdef bint begin_number(BlockScan* scan, uint8_t byte, uint8_t mask, Place more) noexcept nogil:
    """True: that was all of it."""
    scan.number = byte & mask
    scan.shift = 0
    if scan.number < mask:
        return True
    scan.place = more
    return False


cdef void begin_field(BlockScan* scan, uint8_t byte) noexcept nogil:
    scan.is_name = False
    if byte & 128:
        if begin_number(scan, byte, 127, IN_INDEX):
            scan.fields += 1
    elif byte & 64:
        begin_literal(scan, byte, 63)
    elif byte & 32:
        begin_number(scan, byte, 31, IN_TABLE_SIZE)
    else:
        begin_literal(scan, byte, 15)


cdef void begin_literal(BlockScan* scan, uint8_t byte, uint8_t mask) noexcept nogil:
    if begin_number(scan, byte, mask, IN_NAME_INDEX):
        scan.is_name = scan.number == 0
        scan.place = AT_LENGTH


cdef void end_number(BlockScan* scan) noexcept nogil:
    if scan.place == IN_NAME_INDEX:
        scan.place = AT_LENGTH
        return
    if scan.place == IN_INDEX:
        scan.fields += 1
    scan.place = AT_FIELD


cdef void more_length(BlockScan* scan, uint8_t* p) noexcept nogil:
    cdef uint8_t byte = p[0]
    scan.number += <uint32_t> (byte & 127) << scan.shift
    scan.shift += 7
    if scan.dropping:
        p[0] = EMPTY_FIELD
    if byte >= 128:
        if scan.shift > SHORT_STEP:
            scan.place = GIVEN_UP
    elif scan.number > LONGEST_STRING and not scan.dropping:
        p[0] = 1
        begin_long(scan, scan.number - ((<uint32_t> byte - 1) << SHORT_STEP))
    else:
        begin_string(scan)


cdef void begin_string(BlockScan* scan) noexcept nogil:
    scan.string = scan.number
    scan.place = IN_STRING
    if scan.string == 0:
        end_string(scan)


cdef void end_string(BlockScan* scan) noexcept nogil:
    if scan.is_name:
        scan.is_name = False
        scan.place = AT_LENGTH
        return
    scan.dropping = False
    scan.fields += 1
    scan.place = AT_FIELD


# ---- long strings

cdef void begin_long(BlockScan* scan, uint32_t shorter) noexcept nogil:
    cdef uint32_t rest = scan.number - shorter
    cdef LongString* string = add_string(scan)
    if string == NULL:
        scan.place = GIVEN_UP
        return
    scan.place = IN_LONG_STRING
    scan.at = 0
    scan.shorter = shorter
    string.slot = -1
    string.field = scan.fields
    string.filling = rest // PIECE + (rest % PIECE if rest % PIECE < 3 else 1)
    string.length = scan.number
    string.huffman = scan.huffman
    string.is_name = scan.is_name
    string.is_kept = not scan.is_name and scan.number <= scan.keep


cdef LongString* add_string(BlockScan* scan) noexcept nogil:
    cdef int room = scan.room * 2 if scan.room else 4
    cdef LongString* more
    if scan.count == scan.room:
        more = <LongString*> realloc(scan.strings, room * sizeof(LongString))
        if more == NULL:
            return NULL
        scan.strings = more
        scan.room = room
    memset(&scan.strings[scan.count], 0, sizeof(LongString))
    scan.count += 1
    return &scan.strings[scan.count - 1]


cdef size_t replace(BlockScan* scan, uint8_t* p, size_t n) noexcept nogil:
    cdef LongString* string = &scan.strings[scan.count - 1]
    cdef size_t step = min(n, <size_t> (string.length - scan.at))
    cdef size_t i
    keep(string, p, step)
    for i in range(step):
        p[i] = filling_of_name(scan) if string.is_name else filling_of_value(scan, string)
        scan.at += 1
    if scan.at == string.length:
        if string.is_name:
            scan.dropping = True
        else:
            scan.fields += string.filling
        end_string(scan)
    return step


cdef void keep(LongString* string, const uint8_t* p, size_t n) noexcept nogil:
    """Room grows with what came, not with what was announced."""
    cdef uint8_t* more
    if not string.is_kept:
        return
    if string.have + n > string.room:
        string.room = min(string.length, max(2 * string.room, <uint32_t> (string.have + n)))
        more = <uint8_t*> realloc(string.text, string.room)
        if more == NULL:
            string.is_kept = False
            return
        string.text = more
    memcpy(string.text + string.have, p, n)
    string.have += <uint32_t> n


cdef uint8_t filling_of_value(BlockScan* scan, LongString* string) noexcept nogil:
    cdef uint32_t whole, within
    if scan.at < scan.shorter:
        return FILLER
    whole = (string.length - scan.shorter) // PIECE * PIECE
    within = scan.at - scan.shorter
    if within < whole:
        return piece_byte(within % PIECE, PIECE_VALUE)
    if string.length - scan.shorter - whole < 3:
        return EMPTY_FIELD
    return piece_byte(within - whole, <uint8_t> (string.length - scan.shorter - whole - 3))


cdef inline uint8_t piece_byte(uint32_t at, uint8_t value_len) noexcept nogil:
    if at == 0:
        return 15
    if at == 1:
        return 0
    return value_len if at == 2 else FILLER


cdef uint8_t filling_of_name(BlockScan* scan) noexcept nogil:
    """The name, an empty value, and empty fields."""
    if scan.at < scan.shorter:
        return FILLER
    return 0 if scan.at == scan.shorter else EMPTY_FIELD


cdef LongString* long_string(BlockScan* scan, uint32_t field, bint* passed_over) noexcept nogil:
    cdef int i
    passed_over[0] = False
    for i in range(scan.count):
        if scan.strings[i].field == field:
            return &scan.strings[i]
        if scan.strings[i].field < field <= scan.strings[i].field + scan.strings[i].filling:
            passed_over[0] = True
    return NULL
