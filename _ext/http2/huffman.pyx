# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""The code is canonical: the lengths of the codes, in the order of the symbols, say everything."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef enum:
    SHORTEST = 5
    LONGEST = 30
    END_OF_STRING = 256

# Of the codes of one length: the first, how many, and where their symbols begin.
cdef uint32_t[LONGEST + 1] first_code
cdef uint32_t[LONGEST + 1] code_count
cdef uint32_t[LONGEST + 1] first_symbol
cdef uint16_t[257] symbols

# The length of each symbol's code, one character each, "0" and up.
cdef bytes LENGTHS = (
    b"=GLLLLLLLHNLLNLLLLLLLLNLLLLLLLLL6::<=68;::8;8666555666666678?6<:=67777777777777777777777878=C=>6?"
    b"56565666577666567655677777?;>=LDFDDFFFGFGGGGGHGHHFGHGGGGEFGFGGHFEDFFGGEGFFHEFGGEEFEGFGGDFFFGFFGJJ"
    b"DCFGFIJJJKKJHICEJKKJKHEEJJLKKKDHDEFEEGFFIIHHJGJKJJKKKKKLKKKKKJN"
)


cdef void make_tables():
    cdef uint32_t code = 0, taken = 0
    cdef int length, symbol
    for length in range(SHORTEST, LONGEST + 1):
        code <<= 1
        first_code[length] = code
        first_symbol[length] = taken
        for symbol in range(len(LENGTHS)):
            if LENGTHS[symbol] - 48 == length:
                symbols[taken] = <uint16_t> symbol
                taken += 1
        code_count[length] = taken - first_symbol[length]
        code += code_count[length]


make_tables()


cdef inline int length_of(uint64_t bits) noexcept nogil:
    """Of the code that `bits` begins with; the codes of 30 bits complete the set."""
    cdef int length = SHORTEST
    while length < LONGEST and <uint32_t> (bits >> (64 - length)) - first_code[length] >= code_count[length]:
        length += 1
    return length


cdef Py_ssize_t huffman_decode(const uint8_t* coded, size_t length, char* text) noexcept nogil:
    cdef uint64_t bits = 0               # the next ones, from the top
    cdef int have = 0, size
    cdef Py_ssize_t count = 0
    cdef uint16_t symbol
    while True:
        while have <= 56 and length:
            bits |= <uint64_t> coded[0] << (56 - have)
            have += 8
            coded += 1
            length -= 1
        size = length_of(bits)
        if size > have:
            break
        symbol = symbols[first_symbol[size] + <uint32_t> (bits >> (64 - size)) - first_code[size]]
        if symbol == END_OF_STRING:
            return -1
        if text != NULL:
            text[count] = <char> symbol
        count += 1
        bits <<= size
        have -= size
    # Fewer than eight ones fill the last byte.
    return count if have < 8 and (have == 0 or bits >> (64 - have) == (<uint64_t> 1 << have) - 1) else -1
