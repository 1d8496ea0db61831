"""Regular expressions that match whole texts in linear time: compiled once to a table, then one look a byte.

The language is that of Linkerd's (RE2's and Rust's syntax, without what needs Unicode tables, word
boundaries or back references), over bytes. What is beyond it, or would make too large a table, is refused
where it is compiled: nothing matches more than was meant.
"""

from cython cimport final
from libc.stdint cimport uint8_t, uint16_t

cdef struct Dfa:
    const uint16_t* next          # [state + class], states in steps of the number of classes; 0 is dead
    const uint8_t* classes        # of each byte
    uint16_t start
    uint16_t accepting            # this state and all above it

@final
cdef class Regex:
    """Immutable."""
    cdef readonly bytes pattern
    cdef readonly bytes exact     # the one text that it matches; None: others, too, and `dfa` says which
    # What all texts that it matches begin with; may be empty.
    cdef readonly bytes prefix
    cdef Dfa dfa
    cdef bytes table, classes     # owned, what `dfa` points to; None where there is `exact`

cdef inline bint dfa_matches(const Dfa* dfa, const char* text, size_t length) noexcept nogil:
    cdef uint16_t state = dfa.start
    cdef size_t i
    for i in range(length):
        state = dfa.next[state + dfa.classes[<uint8_t> text[i]]]
        if state == 0:
            return False
    return state >= dfa.accepting
