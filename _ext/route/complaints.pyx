# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A storm of failures costs a look into a dict each, and a line a second."""

from linkerd2_py._ext.core.clock cimport SECOND


cdef class Complaints:

    def __init__(self, Loop loop not None, on_answer not None):
        self.loop = loop
        self.on_answer = on_answer
        self.reasons = {}
        self.forgot = -SECOND

    cdef int say(self, Target target, Backend backend, int status, const char* text, size_t n) except -1:
        cdef bytes words = text[:n]
        cdef int64_t now = self.loop.now
        cdef uint64_t silent
        cdef Reason reason = self.reasons.get(words)
        if reason is None:
            if len(self.reasons) >= REASONS_MOST:
                # Some reasons have numbers in them that a request chooses.
                if now - self.forgot < SECOND:
                    return 0
                self.forgot = now
                self.reasons.clear()
            reason = self.reasons[words] = Reason.__new__(Reason)
        elif now - reason.told < SECOND:
            reason.silent += 1
            return 0
        silent = reason.silent
        reason.told, reason.silent = now, 0
        self.on_answer(
            None if target is None else target.key, None if backend is None else str(backend.address),
            status, words, silent,
        )
        return 0
