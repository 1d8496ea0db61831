# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Heads, recycled through a bounded free list, and what field names and methods mean to the engine."""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memchr, memcpy

from linkerd2_py._ext.core.buffer cimport BUFFER_SMALL, give_back, lease
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take

cdef enum:
    FIRST_ROOM = 32            # more fields than most heads have
    KEPT_HEADS = 1024          # what a burst of exchanges leaves behind at most
    ARENA_BYTES = 8388608      # what one head may copy: the largest that any limit lets in, more than once
    LONGEST_NAME = 20          # of those with an id: l5d-proxy-connection

cdef Span NOTHING
NOTHING.ptr = ""
NOTHING.len = 0

cdef Shelf free_heads


cdef class Head:
    def __cinit__(self):
        self.fields = <Field*> malloc(FIRST_ROOM * sizeof(Field))
        if self.fields == NULL:
            raise MemoryError
        self.room = FIRST_ROOM
        self.clear()

    def __dealloc__(self):
        free(self.fields)
        self.fields = NULL

    cdef int grow(self) except -1:
        cdef int room = self.room * 2
        cdef Field* fields = <Field*> realloc(self.fields, room * sizeof(Field))
        if fields == NULL:
            raise MemoryError
        self.fields = fields
        self.room = room
        return 0

    cdef int put(
        self, const char* name, size_t name_len, const char* value, size_t value_len, int id
    ) except -1:
        cdef char* copy = self.alloc(value_len)
        memcpy(copy, value, value_len)
        return self.add(name, name_len, copy, value_len, id, 0)

    cdef Field* search(self, int id) noexcept:
        cdef int i
        for i in range(self.count):
            if self.fields[i].id == id and not self.fields[i].flags & FIELD_DROPPED:
                return &self.fields[i]
        return NULL

    cdef Field* find_name(self, const char* lower_name, size_t length) noexcept:
        cdef int i
        cdef Field* field
        for i in range(self.count):
            field = &self.fields[i]
            if field.flags & FIELD_DROPPED:
                continue
            if equals_lower(field.name, field.name_len, lower_name, length):
                return field
        return NULL

    cdef int drop_any(self, uint32_t ids) noexcept:
        cdef int i, dropped = 0
        for i in range(self.count):
            if ids >> self.fields[i].id & 1 and not self.fields[i].flags & FIELD_DROPPED:
                self.fields[i].flags |= FIELD_DROPPED
                dropped += 1
        return dropped

    cdef char* alloc(self, size_t count) except NULL:
        cdef char* place
        if count > ARENA_BYTES - self.arena_bytes:
            raise ValueError("a message head needs more than 8 MiB of copies")
        if self.arena is None or self.arena.room() < count:
            self.open_arena(count)
        place = self.arena.tail()
        self.arena.end += count
        self.arena_bytes += count
        return place

    cdef int open_arena(self, size_t count) except -1:
        # The full buffer is kept, never moved: spans point into it.
        cdef Buffer fresh = lease(max(<size_t> BUFFER_SMALL, count))
        if self.arena is not None:
            if self.full_arenas is None:
                self.full_arenas = []
            self.full_arenas.append(self.arena)
        self.arena = fresh
        return 0

    cdef void reset(self) noexcept:
        cdef Buffer buffer
        if self.arena is not None:
            give_back(self.arena)
            self.arena = None
        if self.full_arenas is not None:
            for buffer in self.full_arenas:
                give_back(buffer)
            self.full_arenas = None
        self.clear()

    cdef void clear(self) noexcept:
        self.arena_bytes = 0
        self.count = 0
        self.present = 0
        self.version = HTTP_11
        self.method_id = METHOD_OTHER
        self.form = FORM_ORIGIN
        self.method = self.scheme = self.authority = self.path = self.target = self.reason = NOTHING
        self.status = 0
        self.content_length = -1
        self.chunked = self.close_delimited = self.end = self.expect_continue = False
        self.wants_close = self.upgrade = self.is_grpc = False


cdef Head take_head():
    if free_heads.count:
        return <Head> shelf_take(&free_heads)
    return Head.__new__(Head)


cdef void drop_head(Head head) noexcept:
    if head is None:
        return
    head.reset()
    shelf_keep(&free_heads, head, KEPT_HEADS)


cdef bint equals_lower(const char* value, size_t length, const char* lower, size_t lower_len) noexcept nogil:
    cdef size_t i
    cdef unsigned char c
    if length != lower_len:
        return False
    for i in range(length):
        c = <unsigned char> value[i]
        if c"A" <= c <= c"Z":
            c |= 32
        if c != <unsigned char> lower[i]:
            return False
    return True


cdef inline int pick(const char* name, size_t length, const char* lower, int id) noexcept nogil:
    return id if same_token(name, lower, length) else H_OTHER


cdef int field_id(const char* name, size_t length) noexcept nogil:
    return known_id(name, length) or l5d(name, length)


cdef int known_id(const char* name, size_t length) noexcept nogil:
    if length == 4:
        return pick(name, 4, "host", H_HOST) or pick(name, 4, "date", H_DATE)
    if length == 6:
        return pick(name, 6, "expect", H_EXPECT) or pick(name, 6, "server", H_SERVER)
    if length == 7:
        return pick(name, 7, "upgrade", H_UPGRADE) or pick(name, 7, "trailer", H_TRAILER)
    if length == 10:
        return pick(name, 10, "connection", H_CONNECTION) or pick(name, 10, "keep-alive", H_KEEP_ALIVE)
    if length == 12:
        return (
            pick(name, 12, "content-type", H_CONTENT_TYPE)
            or pick(name, 12, "grpc-message", H_GRPC_MESSAGE)
        )
    if length == 14:
        return (
            pick(name, 14, "content-length", H_CONTENT_LENGTH)
            or pick(name, 14, "http2-settings", H_HTTP2_SETTINGS)
            or pick(name, 14, "l5d-orig-proto", H_L5D_ORIG_PROTO)
            or pick(name, 14, "l5d-require-id", H_L5D_REQUIRE_ID)
        )
    return rare_id(name, length)


cdef int rare_id(const char* name, size_t length) noexcept nogil:
    if length == 2:
        return pick(name, 2, "te", H_TE)
    if length == 11:
        return pick(name, 11, "grpc-status", H_GRPC_STATUS)
    if length == 13:
        return pick(name, 13, "l5d-client-id", H_L5D_CLIENT_ID)
    if length == 15:
        return pick(name, 15, "l5d-proxy-error", H_L5D_PROXY_ERROR)
    if length == 16:
        return (
            pick(name, 16, "proxy-connection", H_PROXY_CONNECTION)
            or pick(name, 16, "l5d-dst-override", H_L5D_DST_OVERRIDE)
        )
    if length == 17:
        return (
            pick(name, 17, "transfer-encoding", H_TRANSFER_ENCODING)
            or pick(name, 17, "l5d-dst-canonical", H_L5D_DST_CANONICAL)
        )
    if length == 18:
        return pick(name, 18, "proxy-authenticate", H_PROXY_AUTHENTICATE)
    if length == 19:
        return pick(name, 19, "proxy-authorization", H_PROXY_AUTHORIZATION)
    if length == 20:
        return pick(name, 20, "l5d-proxy-connection", H_L5D_PROXY_CONNECTION)
    return H_OTHER


# Every l5d-* name is ours, also one that a later version adds and one longer than any known name.
cdef inline int l5d(const char* name, size_t length) noexcept nogil:
    return ours(name, length) if length > 4 and begins_with_l5d(name) else H_OTHER


cdef int ours(const char* name, size_t length) noexcept nogil:
    cdef char plain[LONGEST_NAME]
    cdef size_t i
    if length > LONGEST_NAME or memchr(name, c"_", length) == NULL:
        return H_L5D_OTHER
    for i in range(length):
        plain[i] = c"-" if name[i] == c"_" else name[i]
    return field_id(plain, length)


cdef Method method_id(const char* name, size_t length) noexcept nogil:
    # Methods are case-sensitive (RFC 9110 9.1).
    if length == 3:
        return METHOD_GET if same(name, "GET", 3) else METHOD_PUT if same(name, "PUT", 3) else METHOD_OTHER
    if length == 4:
        if same(name, "POST", 4):
            return METHOD_POST
        return METHOD_HEAD if same(name, "HEAD", 4) else METHOD_OTHER
    if length == 5:
        if same(name, "PATCH", 5):
            return METHOD_PATCH
        return METHOD_TRACE if same(name, "TRACE", 5) else METHOD_OTHER
    if length == 6:
        return METHOD_DELETE if same(name, "DELETE", 6) else METHOD_OTHER
    if length == 7:
        if same(name, "OPTIONS", 7):
            return METHOD_OPTIONS
        return METHOD_CONNECT if same(name, "CONNECT", 7) else METHOD_OTHER
    return METHOD_OTHER


cdef inline bint same(const char* left, const char* right, size_t length) noexcept nogil:
    cdef size_t i
    for i in range(length):
        if left[i] != right[i]:
            return False
    return True


cdef int64_t parse_length(const char* value, size_t length) noexcept nogil:
    cdef int64_t total = 0
    cdef size_t i
    cdef int digit
    # 18 digits cannot overflow, and nothing real needs a nineteenth.
    if length == 0 or length > 18:
        return -1
    for i in range(length):
        digit = <unsigned char> value[i] - c"0"
        if digit < 0 or digit > 9:
            return -1
        total = total * 10 + digit
    return total
