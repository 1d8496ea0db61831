# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Which conditions may hold is found in trees; of those, the first that does is looked for."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdlib cimport free, realloc

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.policy.match cimport (
    STEP_HOST, STEP_PATH, STEP_PREFIX, Key, holds_at, host_of, key_of, line_of, put_rest,
)
from linkerd2_py._ext.policy.tree cimport NOBODY, Node, clear, deepest, new_root, place

RULES_MAX = 20_000
cdef uint32_t MOST = RULES_MAX

cdef enum:
    FIRST_ROOM = 8
    # No host that a condition names is longer.
    HOST_ROOM = 256


cdef class Rules:
    def __cinit__(self):
        self.kept = []
        self.hosts = NOBODY
        self.paths = new_root(&self.tree)

    def __init__(self, conditions=()):
        for condition in conditions:
            self.append(<Condition?> condition)

    def __dealloc__(self):
        free(self.rules)
        free(self.steps)
        clear(&self.tree)

    @property
    def count(self):
        return self.number

    # ---- making it

    cdef int append(self, Condition condition) except -1:
        cdef Key key = key_of(condition.steps)
        cdef Chain* chain
        if self.number >= MOST:
            raise ValueError(f"a table of more than {RULES_MAX} rules")
        self.make_room(condition)
        chain = self.chain_for(key.host, key.path)
        self.kept.append(condition.kept)
        self.rules[self.number].at = self.step_count
        self.step_count = put_rest(condition.steps, 0, &key, self.steps, self.step_count)
        self.rules[self.number].end = self.step_count
        self.rules[self.number].behind = NOBODY
        if chain.first == NOBODY:
            chain.first = self.number
        else:
            self.rules[chain.last].behind = self.number
        chain.last = self.number
        self.number += 1
        return 0

    cdef int make_room(self, Condition condition) except -1:
        cdef void* grown
        cdef uint32_t room = max(<uint32_t> FIRST_ROOM, 2 * self.room)
        if self.number == self.room:
            grown = realloc(self.rules, room * sizeof(Rule))
            if grown == NULL:
                raise MemoryError
            self.rules = <Rule*> grown
            self.room = room
        if self.step_count + condition.count > self.step_room:
            room = 2 * self.step_room + condition.count
            grown = realloc(self.steps, room * sizeof(Step))
            if grown == NULL:
                raise MemoryError
            self.steps = <Step*> grown
            self.step_room = room
        return 0

    cdef Chain* chain_for(self, const Step* host, const Step* path) except NULL:
        """Where those stand that ask for this host and this path; NULL: for none."""
        cdef uint32_t node = self.paths if host == NULL else self.root_for(host)
        if path == NULL:
            return &self.tree.nodes[node].begun
        node = place(&self.tree, node, path.text, path.text_length)
        if path.kind == STEP_PATH:
            return &self.tree.nodes[node].whole
        if path.kind == STEP_PREFIX:
            return &self.tree.nodes[node].segments
        return &self.tree.nodes[node].begun

    cdef uint32_t root_for(self, const Step* host) except? 0:
        """Of the paths of rules that ask for this host."""
        cdef bytes text = host.text[:host.text_length][::-1]
        cdef uint32_t node, root
        cdef Chain* chain
        if self.hosts == NOBODY:
            self.hosts = new_root(&self.tree)
        node = place(&self.tree, self.hosts, PyBytes_AS_STRING(text), <uint32_t> PyBytes_GET_SIZE(text))
        chain = roots_at(&self.tree.nodes[node], host)
        if chain.first == NOBODY:
            # A node may have been made of the text.
            self.kept.append(text)
            root = new_root(&self.tree)
            roots_at(&self.tree.nodes[node], host).first = root
            return root
        return chain.first

    # ---- looking

    cdef Py_ssize_t first(self, Head head) noexcept:
        cdef Line line
        cdef uint32_t found = self.number
        if found == 0:
            return -1
        line = line_of(head)
        if self.hosts != NOBODY:
            found = self.by_host(head, &line)
        found = by_path(self, self.paths, head, &line, found)
        return -1 if found == self.number else found

    cdef uint32_t by_host(self, Head head, const Line* line) noexcept:
        cdef char[HOST_ROOM] room
        cdef Span text = reversed_host(host_of(head.authority), room)
        cdef const Node* node = &self.tree.nodes[deepest(&self.tree, self.hosts, text.ptr, text.len)]
        cdef uint32_t found = self.number
        if node.depth == text.len and node.whole.first != NOBODY:
            found = by_path(self, node.whole.first, head, line, found)
        while True:
            if node.begun.first != NOBODY and node.depth < text.len:
                found = by_path(self, node.begun.first, head, line, found)
            if node.parent == NOBODY:
                return found
            node = &self.tree.nodes[node.parent]


cdef inline uint32_t by_path(
    Rules rules, uint32_t root, Head head, const Line* line, uint32_t before,
) noexcept:
    """The first rule that holds of those below `root`, or `before`, where it is before all of them."""
    cdef Span path = line.path
    cdef const Node* node = &rules.tree.nodes[deepest(&rules.tree, root, path.ptr, path.len)]
    if node.whole.first < before and node.depth == path.len:
        before = first_of(rules, node.whole.first, head, line, before)
    # The longer the beginning, the earlier it stands, mostly: what is found soon spares the others.
    while True:
        if node.begun.first < before:
            before = first_of(rules, node.begun.first, head, line, before)
        if node.segments.first < before:
            if node.depth == path.len or path.ptr[node.depth] == c"/":
                before = first_of(rules, node.segments.first, head, line, before)
        if node.parent == NOBODY:
            return before
        node = &rules.tree.nodes[node.parent]


cdef uint32_t first_of(
    Rules rules, uint32_t number, Head head, const Line* line, uint32_t before,
) noexcept:
    """Of a chain that begins there. Nobody is behind all of them."""
    cdef const Rule* rule
    cdef uint32_t at
    while number < before:
        rule = &rules.rules[number]
        at = rule.at
        while at < rule.end and holds_at(rules.steps, at, head, line):
            at = rules.steps[at].after
        if at == rule.end:
            return number
        number = rule.behind
    return before


cdef inline Chain* roots_at(Node* node, const Step* host) noexcept:
    return &node.whole if host.kind == STEP_HOST else &node.begun


cdef Span reversed_host(Span host, char* room) noexcept:
    """In lower case. Of a longer one the end: that is what conditions look at."""
    cdef Span text
    cdef size_t i
    cdef char byte
    text.ptr = room
    text.len = min(host.len, <size_t> HOST_ROOM)
    for i in range(text.len):
        byte = host.ptr[host.len - 1 - i]
        room[i] = byte | 0x20 if c"A" <= byte <= c"Z" else byte
    return text
