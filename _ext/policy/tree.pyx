# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""How texts get into a tree."""

from libc.stdlib cimport free, malloc, realloc

cdef enum:
    FIRST_ROOM = 8
    FIRST_PLACES = 16


cdef uint32_t new_node(Tree* tree, uint32_t parent, const char* text, uint32_t length) except? 0:
    """It has no place yet."""
    cdef Node* node
    cdef void* grown
    cdef uint32_t room = max(<uint32_t> FIRST_ROOM, 2 * tree.room)
    if tree.count == tree.room:
        grown = realloc(tree.nodes, room * sizeof(Node))
        if grown == NULL:
            raise MemoryError
        tree.nodes = <Node*> grown
        tree.room = room
    if tree.places == NULL:
        spread(tree, FIRST_PLACES)
    elif tree.count > tree.last // 2:
        spread(tree, 2 * (tree.last + 1))
    node = &tree.nodes[tree.count]
    node.text = text
    node.length = length
    node.depth = length
    node.parent = parent
    if parent != NOBODY:
        node.depth += tree.nodes[parent].depth
    node.whole = node.segments = node.begun = Chain(NOBODY, NOBODY)
    tree.count += 1
    return tree.count - 1


cdef int spread(Tree* tree, uint32_t count) except -1:
    """More places, so that each child is found soon."""
    cdef uint32_t i, node
    cdef Place* places = <Place*> malloc(count * sizeof(Place))
    if places == NULL:
        raise MemoryError
    free(tree.places)
    tree.places = places
    tree.last = count - 1
    for i in range(count):
        places[i] = Place(0, NOBODY)
    for node in range(tree.count):
        if tree.nodes[node].parent != NOBODY:
            give_place(tree, node)
    return 0


cdef int give_place(Tree* tree, uint32_t node) noexcept:
    """In the place of whoever has it."""
    cdef uint32_t parent = tree.nodes[node].parent
    cdef char byte = tree.nodes[node].text[0]
    place_of(tree, parent, byte)[0] = Place(<uint64_t> parent << 8 | <uint8_t> byte, node)
    return 0


cdef uint32_t new_root(Tree* tree) except? 0:
    return new_node(tree, NOBODY, "", 0)


cdef uint32_t place(Tree* tree, uint32_t root, const char* text, uint32_t length) except? 0:
    cdef uint32_t node = root, child, same
    while length:
        child = place_of(tree, node, text[0]).child
        if child == NOBODY:
            child = new_node(tree, node, text, length)
            give_place(tree, child)
            return child
        same = shared(&tree.nodes[child], text, length)
        node = child if same == tree.nodes[child].length else divided(tree, child, same)
        text += same
        length -= same
    return node


cdef uint32_t divided(Tree* tree, uint32_t lower, uint32_t at) except? 0:
    """A node of its own for the first bytes of a node's text, above it."""
    cdef uint32_t parent = tree.nodes[lower].parent
    cdef uint32_t upper = new_node(tree, parent, tree.nodes[lower].text, at)
    cdef Node* node = &tree.nodes[lower]
    give_place(tree, upper)
    node.parent = upper
    node.text += at
    node.length -= at
    give_place(tree, lower)
    return upper


cdef uint32_t shared(const Node* node, const char* text, uint32_t length) noexcept:
    """How many bytes of both are the same."""
    cdef uint32_t i, most = min(node.length, length)
    for i in range(most):
        if node.text[i] != text[i]:
            return i
    return most


cdef int clear(Tree* tree) noexcept:
    free(tree.nodes)
    free(tree.places)
    tree.nodes = NULL
    tree.places = NULL
    tree.count = tree.room = 0
    return 0
