# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A token that was seen before is found by its digest, which nobody can aim at: its key is chance, and this
process's own.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport FIELD_DROPPED, FIELD_LOWER, H_OTHER, equals_lower
from linkerd2_py._ext.jwt.siphash cimport siphash128

LONGEST_TOKEN = 8192
REMEMBERED = 4096
MISSING = "missing"
TWICE = "twice"
TOO_LONG = "too long"
BROKEN = "broken"
BUSY = "busy"

cdef enum:
    LONGEST = 8192
    DIGEST_LEN = 16
    # A table is two halves: when the newer one is full, the older one goes.
    SOUND_HALF = 2048
    UNSOUND_HALF = 256
    # Requests with tokens of one kind that wait for the same: they are not to be all that there may be.
    WAITING_MAX = 1000
    NS = 1000000000
    WORST = 100               # the rank of having none
    MOST_SECONDS = 3600

cdef bytes KEY = os.urandom(DIGEST_LEN)
# Whoever is asked about now has had to wait for its turn already.
cdef bint has_waited = False


cdef class Finding:
    def __init__(self, Loop loop not None, *, str problem=None, int rank=0, double seconds=0.0, fields=()):
        cdef bytes name, value
        self.problem = problem
        self.rank = rank
        self.until = loop.now + <int64_t> (min(max(seconds, 0.0), <double> MOST_SECONDS) * NS)
        self.fields = tuple([(name, value) for name, value in fields])


cdef class Tokens(Actor):
    def __init__(
        self, Loop loop not None, *, bytes field not None, bytes scheme not None=b"", bint forwards=False,
        inspect,
    ):
        self.loop = loop
        self.field = field.lower()
        self.scheme = scheme.lower()
        self.forwards = forwards
        self.inspect = inspect
        self.for_turn = WaiterQueue()
        self.for_keys = WaiterQueue()
        self.forget()

    def forget(self):
        self.sound, self.sound_before, self.unsound, self.unsound_before = {}, {}, {}, {}

    def resume(self):
        self.for_turn.take_all(self.for_keys)
        if self.for_turn.count:
            self.loop.defer(self)

    cdef Finding find(self, Waiter exchange, Head head):
        cdef Span token
        cdef Finding found
        cdef bytes digest
        cdef int fields = self.look(head, &token)
        if fields > 1:
            return TWICE_FOUND
        if token.len == 0:
            return NOTHING_FOUND
        if token.len > LONGEST:
            return LONG_FOUND
        digest = PyBytes_FromStringAndSize(NULL, DIGEST_LEN)
        siphash128(PyBytes_AS_STRING(KEY), token.ptr, token.len, PyBytes_AS_STRING(digest))
        found = self.known(digest)
        if found is not None or exchange is None:
            return found
        return self.ask(exchange, digest, token)

    cdef int look(self, Head head, Span* token) noexcept:
        cdef Field* field
        cdef int i, count = 0
        token.ptr = ""
        token.len = 0
        for i in range(head.count):
            field = &head.fields[i]
            if not field.flags & FIELD_DROPPED and is_named(field, self.field):
                count += 1
                self.take(field, token)
        return count

    cdef int take(self, Field* field, Span* token) noexcept:
        """What stands behind the scheme, if that is the one that is asked for."""
        cdef size_t begin = PyBytes_GET_SIZE(self.scheme)
        cdef size_t end = field.value_len
        if end < begin or not equals_lower(field.value, begin, PyBytes_AS_STRING(self.scheme), begin):
            return 0
        while begin < end and field.value[begin] == c" ":
            begin += 1
        while end > begin and field.value[end - 1] == c" ":
            end -= 1
        token.ptr = field.value + begin
        token.len = end - begin
        return 0

    cdef Finding known(self, bytes digest):
        cdef Finding found = self.sound.get(digest)
        if found is None:
            found = self.sound_before.get(digest)
            if found is not None:
                self.remember(digest, found)
        if found is None:
            found = self.unsound.get(digest)
        if found is None:
            found = self.unsound_before.get(digest)
        return None if found is None or found.until <= self.loop.now else found

    cdef int remember(self, bytes digest, Finding found) except -1:
        if found.until <= self.loop.now:
            return 0
        if found.problem is None:
            if len(self.sound) >= SOUND_HALF:
                self.sound_before = self.sound
                self.sound = {}
            self.sound[digest] = found
            return 0
        if len(self.unsound) >= UNSOUND_HALF:
            self.unsound_before = self.unsound
            self.unsound = {}
        self.unsound[digest] = found
        return 0

    cdef Finding ask(self, Waiter exchange, bytes digest, Span token):
        cdef Finding found
        self.loop.weigh()
        if not has_waited and self.loop.is_spent():
            if self.for_turn.count >= WAITING_MAX:
                return BUSY_FOUND
            self.for_turn.append(exchange)
            self.loop.defer(self)
            return None
        try:
            found = self.inspect(token.ptr[:token.len])
        except Exception as error:
            self.loop.blame(error, self)
            return BROKEN_FOUND
        if found is not None:
            self.remember(digest, found)
        elif self.for_keys.count >= WAITING_MAX:
            return BUSY_FOUND
        else:
            self.for_keys.append(exchange)
        return found

    cdef int on_deferred(self) except -1:
        global has_waited
        cdef Waiter waiter = self.for_turn.pop()
        while waiter is not None:
            has_waited = True
            try:
                waiter.on_examined()
            except Exception as error:
                self.loop.blame(error, waiter)
            has_waited = False
            if self.loop.is_spent():
                return self.loop.defer(self) if self.for_turn.count else 0
            waiter = self.for_turn.pop()
        return 0

    cdef int on_broken(self) except -1:
        return self.loop.defer(self) if self.for_turn.count else 0


cdef class Candidate:
    def __init__(self, Tokens tokens not None, Passage passage not None, *, Counter accepted=None):
        self.tokens = tokens
        self.passage = passage
        self.accepted = accepted


cdef class TokenExaminer(RequestExaminer):
    def __init__(self, *, candidates=(), reserved=(), Passage otherwise=None, refused=None):
        cdef Candidate candidate
        cdef bytes name
        if otherwise is None and refused is None:
            raise ValueError("whoever may be refused is told something")
        self.candidates = tuple([<Candidate?> candidate for candidate in candidates])
        self.reserved = tuple([name.lower().replace(b"_", b"-") for name in reserved])
        self.otherwise = otherwise
        self.refused = refused
        self.refusals = {}

    cdef Passage examine(self, Waiter exchange, Head head):
        cdef Candidate candidate
        cdef Finding found, best = None
        if self.otherwise is not None:
            self.clean(head)
            return counted(self.otherwise)
        # What is known goes first: it does not wait until another kind of tokens has been asked about it.
        for candidate in self.candidates:
            found = candidate.tokens.find(None, head)
            if found is not None and found.problem is None:
                return self.accept(candidate, found, head)
        for candidate in self.candidates:
            found = candidate.tokens.find(exchange, head)
            if found is None:
                return None
            if found.problem is None:
                return self.accept(candidate, found, head)
            if best is None or found.rank < best.rank:
                best = found
        return self.refuse(MISSING if best is None else best.problem)

    cdef Passage accept(self, Candidate candidate, Finding found, Head head):
        self.clean(head)
        if not candidate.tokens.forwards:
            drop(head, candidate.tokens.field)
        tell(head, found.fields)
        if candidate.accepted is not None:
            candidate.accepted.count += 1
        return counted(candidate.passage)

    cdef Passage refuse(self, str problem):
        cdef Passage passage
        cdef Counter counter
        told = self.refusals.get(problem)
        if told is None:
            told = self.refusals[problem] = self.refused(problem)
        passage, counter = told
        if counter is not None:
            counter.count += 1
        return counted(passage)

    cdef int clean(self, Head head) except -1:
        """What a client says in the name of its token is not heard."""
        cdef Field* field
        cdef bytes name
        cdef int i
        for i in range(head.count):
            field = &head.fields[i]
            for name in self.reserved:
                if field.name_len == <size_t> PyBytes_GET_SIZE(name) and imitates(field, name):
                    field.flags |= FIELD_DROPPED
        return 0


cdef inline bint is_named(Field* field, bytes name) noexcept:
    return equals_lower(field.name, field.name_len, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name))


cdef inline Passage counted(Passage passage):
    if passage.requests is not None:
        passage.requests.count += 1
    return passage


cdef bint imitates(Field* field, bytes name) noexcept:
    """Both are of one length."""
    cdef const char* wanted = PyBytes_AS_STRING(name)
    cdef char byte
    cdef uint32_t i
    for i in range(field.name_len):
        byte = field.name[i]
        if byte == c"_":
            byte = c"-"
        elif c"A" <= byte <= c"Z":
            byte |= 0x20
        if byte != wanted[i]:
            return False
    return True


cdef int drop(Head head, bytes name) except -1:
    cdef Field* field
    cdef int i
    for i in range(head.count):
        field = &head.fields[i]
        if is_named(field, name):
            field.flags |= FIELD_DROPPED
    return 0


cdef int tell(Head head, tuple fields) except -1:
    """In memory of the head: what was found may be forgotten before it is sent."""
    cdef bytes name, value
    cdef Py_ssize_t name_len, value_len
    cdef char* at
    for name, value in fields:
        name_len = PyBytes_GET_SIZE(name)
        value_len = PyBytes_GET_SIZE(value)
        at = head.alloc(name_len + value_len)
        memcpy(at, PyBytes_AS_STRING(name), name_len)
        memcpy(at + name_len, PyBytes_AS_STRING(value), value_len)
        head.add(at, name_len, at + name_len, value_len, H_OTHER, FIELD_LOWER)
    return 0


cdef Finding TWICE_FOUND, NOTHING_FOUND, LONG_FOUND, BROKEN_FOUND, BUSY_FOUND


cdef Finding always(str problem, int rank):
    cdef Finding found = Finding.__new__(Finding)
    found.problem = problem
    found.rank = rank
    found.fields = ()
    return found


TWICE_FOUND = always(TWICE, 0)
NOTHING_FOUND = always(MISSING, WORST)
LONG_FOUND = always(TOO_LONG, 0)
BROKEN_FOUND = always(BROKEN, 0)
BUSY_FOUND = always(BUSY, 0)
