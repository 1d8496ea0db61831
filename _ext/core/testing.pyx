# cython: language_level=3
"""Buffers for tests, a Python handle on a leased one, and rules of names. Not part of a wheel."""

from libc.string cimport memcpy

from linkerd2_py._ext.core.buffer cimport BUFFER_LARGE, BUFFER_SMALL, Buffer, give_back, lease
from linkerd2_py._ext.core.byte_queue cimport ByteQueue
from linkerd2_py._ext.core.dns_name cimport is_dns_name, same_name
from linkerd2_py._ext.core.types cimport Span

SMALL = BUFFER_SMALL
LARGE = BUFFER_LARGE


cdef class Lease:
    """One leased buffer."""
    cdef Buffer buffer

    def __init__(self, capacity: int):
        self.buffer = lease(capacity)

    def append(self, content: bytes) -> None:
        """Like the engine's callers, proves the room first."""
        if len(content) > <Py_ssize_t> self.buffer.room():
            raise ValueError("no room")
        self.buffer.append(content, len(content))

    def skip(self, count: int) -> None:
        self.buffer.skip(count)

    def compact(self) -> None:
        self.buffer.compact()

    def content(self) -> bytes:
        return self.buffer.head()[: self.buffer.size()]

    def room(self) -> int:
        return self.buffer.room()

    def capacity(self) -> int:
        return self.buffer.capacity

    def give_back(self) -> None:
        give_back(self.buffer)

    def same_memory(self, Lease other not None) -> bool:
        return self.buffer is other.buffer


def is_name(name: bytes) -> bool:
    return is_dns_name(name, len(name))


def are_same_name(bytes a, bytes b) -> bool:
    cdef Span span
    span.ptr = a
    span.len = len(a)
    return same_name(span, b, len(b))


cdef class Queue:
    """A queue of bytes."""
    cdef ByteQueue queue

    def __init__(self, *, roomy: bool = False):
        self.queue = ByteQueue.__new__(ByteQueue)
        self.queue.roomy = roomy

    def put(self, content: bytes) -> None:
        self.queue.put(content, len(content))

    def write(self, content: bytes, *, room: int) -> None:
        """Through reserve and commit: asks for `room` bytes and writes no more than those of `content`."""
        cdef char* place = self.queue.reserve(room)
        memcpy(place, <const char*> content, len(content))
        self.queue.commit(len(content))

    @property
    def whole(self) -> bool:
        return self.queue.is_whole()

    def take(self, count: int) -> bytes:
        room = bytearray(count)
        self.queue.take(room, count)
        return bytes(room)

    def peek(self) -> bytes:
        cdef Span front = self.queue.peek()
        return front.ptr[: front.len] if front.len else b""

    def skip(self, count: int) -> None:
        self.queue.skip(count)

    def clear(self) -> None:
        self.queue.clear()

    def __len__(self):
        return self.queue.size
