"""Texts, found by what begins with them: a tree in one array, each node with what it adds to the text of its
parent. What begins a text is found in the time of that text's length, however many texts there are: the child
that goes on with a byte has its place in a table, by its parent and that byte.

What is on the path of requests is header-only.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef extern from *:
    """
    #ifndef L5D_TREE
    #define L5D_TREE
    #include <stdint.h>
    #include <string.h>

    #define L5D_NOBODY UINT32_MAX

    /* Words at a time; the last two may overlap. */
    static inline int l5d_same_bytes(const char *left, const char *right, size_t length)
    {
        uint64_t one, other;
        uint32_t half, other_half;
        size_t at;
        if (length >= 8) {
            for (at = 0; at + 8 <= length; at += 8) {
                memcpy(&one, left + at, 8);
                memcpy(&other, right + at, 8);
                if (one != other)
                    return 0;
            }
            memcpy(&one, left + length - 8, 8);
            memcpy(&other, right + length - 8, 8);
            return one == other;
        }
        if (length >= 4) {
            memcpy(&half, left, 4);
            memcpy(&other_half, right, 4);
            if (half != other_half)
                return 0;
            memcpy(&half, left + length - 4, 4);
            memcpy(&other_half, right + length - 4, 4);
            return half == other_half;
        }
        return length == 0 || (left[0] == right[0] && left[length >> 1] == right[length >> 1]
            && left[length - 1] == right[length - 1]);
    }
    #endif
    """
    const uint32_t NOBODY "L5D_NOBODY"
    bint same_bytes "l5d_same_bytes"(const char* left, const char* right, size_t length) noexcept nogil

# What was put behind one text, by numbers of whoever puts it there, which rise: the first and the last.
cdef struct Chain:
    uint32_t first, last          # NOBODY: nothing was

cdef struct Node:
    const char* text              # without that of its parent; borrowed from whoever put it in
    uint32_t length               # 0: of roots alone
    uint32_t depth                # the length of all of it
    uint32_t parent               # NOBODY: it is a root
    Chain whole                   # of the text that ends here,
    Chain segments                # of those that end here or go on with a slash,
    Chain begun                   # and of all that begin so

cdef struct Place:
    uint64_t key                  # a parent, and the byte that its child begins with
    uint32_t child                # NOBODY: the place is free

cdef struct Tree:
    Node* nodes                   # owned; moves when something is put in
    uint32_t count, room
    Place* places                 # owned; a power of two of them, at least half of which are free
    uint32_t last                 # the index of the last

# An empty one; there may be several in one array. MemoryError.
cdef uint32_t new_root(Tree* tree) except? 0
# The node of that text, made where there is none. MemoryError.
cdef uint32_t place(Tree* tree, uint32_t root, const char* text, uint32_t length) except? 0
cdef int clear(Tree* tree) noexcept

# The place of the child of `node` that begins with `byte`, or the place where it would be.
cdef inline Place* place_of(const Tree* tree, uint32_t node, char byte) noexcept:
    cdef uint64_t key = <uint64_t> node << 8 | <uint8_t> byte
    # Multiplied by 2^64 / phi, which spreads numbers that follow one another.
    cdef uint32_t at = <uint32_t> (key * <uint64_t> 11400714819323198485u >> 40) & tree.last
    while tree.places[at].key != key and tree.places[at].child != NOBODY:
        at = (at + 1) & tree.last
    return &tree.places[at]

# The last node whose text `text` begins with. The others are its parents.
cdef inline uint32_t deepest(const Tree* tree, uint32_t root, const char* text, size_t length) noexcept:
    cdef const Node* node
    cdef uint32_t found = root, child
    while length:
        child = place_of(tree, found, text[0]).child
        if child == NOBODY:
            break
        node = &tree.nodes[child]
        if node.length > length or not same_bytes(node.text, text, node.length):
            break
        text += node.length
        length -= node.length
        found = child
    return found
