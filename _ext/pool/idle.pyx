# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""A doubly linked list through its members."""

from linkerd2_py._ext.core.debug cimport L5D_DEBUG, check


cdef class IdleConnections:
    cdef int push(self, Http1Client client) except -1:
        if L5D_DEBUG:
            check(not client.is_idle, b"a connection was idle twice")
        client.is_idle = True
        client.older = self.newest
        if self.newest is None:
            self.oldest = client
        else:
            self.newest.newer = client
        self.newest = client
        self.count += 1
        return 0

    cdef Http1Client pop(self):
        cdef Http1Client client = self.newest
        if client is not None:
            self.remove(client)
        return client

    cdef Http1Client pop_oldest(self):
        cdef Http1Client client = self.oldest
        if client is not None:
            self.remove(client)
        return client

    cdef int remove(self, Http1Client client) except -1:
        cdef Http1Client older = client.older, newer = client.newer
        if not client.is_idle:
            return 0
        client.is_idle = False
        client.older = client.newer = None
        self.count -= 1
        if older is None:
            self.oldest = newer
        else:
            older.newer = newer
        if newer is None:
            self.newest = older
        else:
            newer.older = older
        return 0
