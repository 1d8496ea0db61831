# cython: language_level=3
"""Python doors to what looks at tokens. Not part of a wheel."""

from linkerd2_py._ext.exchange.backend cimport Waiter
from linkerd2_py._ext.exchange.head cimport FIELD_DROPPED, Field, Head, drop_head, field_id, take_head
from linkerd2_py._ext.exchange.passage cimport Passage
from linkerd2_py._ext.jwt.siphash cimport siphash128
from linkerd2_py._ext.jwt.tokens cimport TokenExaminer


cdef class Visitor(Waiter):
    """A request with these fields, looked at by `look`, and again when it is told that it can be. `passage`
    and `told`: under which it is, None while it waits, and what fields the workload gets. `asked`: how often
    it was told.
    """
    cdef TokenExaminer examiner
    cdef list fields
    cdef readonly Passage passage
    cdef readonly list told
    cdef readonly int asked

    def __init__(self, TokenExaminer examiner not None, object fields=()):
        self.examiner = examiner
        self.fields = list(fields)

    cdef int on_examined(self) except -1:
        self.asked += 1
        self.look()
        return 0

    cdef int on_broken(self) except -1:
        return 0

    @property
    def waits(self) -> bool:
        return self.queue is not None

    def withdraw(self) -> None:
        self.leave()

    def look(self) -> None:
        cdef Head head = take_head()
        cdef Field* field
        cdef bytes name, value
        cdef int i
        for name, value in self.fields:
            head.add(name, len(name), value, len(value), field_id(name, len(name)), 0)
        try:
            self.passage = self.examiner.examine(self, head)
            self.told = []
            for i in range(head.count):
                field = &head.fields[i]
                if not field.flags & FIELD_DROPPED:
                    self.told.append((field.name[:field.name_len], field.value[:field.value_len]))
        finally:
            drop_head(head)


def digest(bytes key not None, bytes text not None) -> bytes:
    """SipHash with 128 bits."""
    cdef char[16] into
    siphash128(key, text, len(text), into)
    return into[:16]
