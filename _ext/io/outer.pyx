# cython: language_level=3
"""Seven functions of libuv, all of its stable API, and one handle."""

import os

from cpython.pycapsule cimport PyCapsule_GetPointer
from cpython.ref cimport PyObject
from libc.stdlib cimport calloc, free

cdef extern from "<dlfcn.h>" nogil:
    void* dlopen(const char* path, int flags)
    void* dlsym(void* library, const char* name)
    enum: RTLD_NOLOAD, RTLD_NOW

cdef enum:
    UV_POLL = 8            # of uv_handle_type
    UV_READABLE = 1

ctypedef void (*OnPoll)(void* handle, int status, int events) noexcept
ctypedef void (*OnClose)(void* handle) noexcept

# Found once; the library that holds them stays loaded, for it is the one that runs the loop.
cdef size_t (*uv_handle_size)(int kind) noexcept nogil
cdef int (*uv_backend_fd)(const void* loop) noexcept nogil
cdef int (*uv_backend_timeout)(const void* loop) noexcept nogil
cdef int (*uv_poll_init)(void* loop, void* handle, int fd) noexcept nogil
cdef int (*uv_poll_start)(void* handle, int events, OnPoll callback) noexcept nogil
cdef int (*uv_poll_stop)(void* handle) noexcept nogil
cdef void (*uv_close)(void* handle, OnClose callback) noexcept nogil


cdef bint find_functions(str library) except -1:
    cdef bytes path = os.fsencode(library)
    cdef void* found = dlopen(path, RTLD_NOW | RTLD_NOLOAD)
    global uv_handle_size, uv_backend_fd, uv_backend_timeout
    global uv_poll_init, uv_poll_start, uv_poll_stop, uv_close
    if found == NULL:
        return False
    uv_handle_size = <size_t (*)(int) noexcept nogil> dlsym(found, "uv_handle_size")
    uv_backend_fd = <int (*)(const void*) noexcept nogil> dlsym(found, "uv_backend_fd")
    uv_backend_timeout = <int (*)(const void*) noexcept nogil> dlsym(found, "uv_backend_timeout")
    uv_poll_init = <int (*)(void*, void*, int) noexcept nogil> dlsym(found, "uv_poll_init")
    uv_poll_start = <int (*)(void*, int, OnPoll) noexcept nogil> dlsym(found, "uv_poll_start")
    uv_poll_stop = <int (*)(void*) noexcept nogil> dlsym(found, "uv_poll_stop")
    uv_close = <void (*)(void*, OnClose) noexcept nogil> dlsym(found, "uv_close")
    return (
        uv_handle_size != NULL and uv_backend_fd != NULL and uv_backend_timeout != NULL
        and uv_poll_init != NULL and uv_poll_start != NULL and uv_poll_stop != NULL and uv_close != NULL
    )


# Whose handle it is stands behind the handle, not in its `data`: what uvloop finds there when it closes it
# takes for an object of its own.
cdef inline PyObject** owner_of(void* handle) noexcept nogil:
    return <PyObject**> (<char*> handle + uv_handle_size(UV_POLL))


cdef void on_poll(void* handle, int status, int events) noexcept with gil:
    cdef OuterLoop outer
    if owner_of(handle)[0] == NULL:
        return
    outer = <OuterLoop> owner_of(handle)[0]
    callback = outer.on_readable
    try:
        callback()
    except BaseException as error:
        # Libuv cannot carry it; the loop raises what ends a program and reports the rest.
        outer.owner.call_soon(throw, error)


def throw(error: BaseException) -> None:
    raise error


cdef void on_close(void* handle) noexcept:
    free(handle)


cdef class OuterLoop:
    def __dealloc__(self):
        # Never closed: libuv still refers to the handle, but not to us.
        if self.handle != NULL:
            owner_of(self.handle)[0] = NULL

    cdef int watch(self) except -1:
        if self.handle != NULL and uv_poll_start(self.handle, UV_READABLE, <OnPoll> on_poll) < 0:
            raise OSError("libuv cannot watch the engine's descriptor")
        return 0

    cdef int unwatch(self) noexcept:
        return 0 if self.handle == NULL else uv_poll_stop(self.handle)

    cdef int timeout_ms(self) noexcept:
        return 0 if self.handle == NULL else uv_backend_timeout(self.loop)

    cdef int close(self) except -1:
        cdef void* handle = self.handle
        self.handle = NULL
        self.on_readable = None
        if handle == NULL:
            return 0
        owner_of(handle)[0] = NULL
        if self.owner.is_closed():
            free(handle)
        else:
            uv_close(handle, on_close)
        return 0


cdef OuterLoop open_outer(object owner, object loop_t, str library, int watched_fd, object on_readable):
    cdef OuterLoop outer
    if not find_functions(library):
        return None
    outer = OuterLoop.__new__(OuterLoop)
    outer.owner = owner
    outer.on_readable = on_readable
    outer.loop = PyCapsule_GetPointer(loop_t, NULL)
    outer.fd = uv_backend_fd(outer.loop)
    outer.handle = calloc(1, uv_handle_size(UV_POLL) + sizeof(PyObject*))
    if outer.handle == NULL:
        raise MemoryError
    owner_of(outer.handle)[0] = <PyObject*> outer
    if uv_poll_init(outer.loop, outer.handle, watched_fd) < 0:
        free(outer.handle)
        outer.handle = NULL
        return None
    return outer
