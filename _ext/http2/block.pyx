# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Values stay in libnghttp2's reference-counted buffers; only split cookies and long values are copied."""

cimport cython
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy
from linkerd2_py._ext.core.shelf cimport Shelf, shelf_keep, shelf_take
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, FIELD_LOWER, FIELD_SENSITIVE, FORM_ASTERISK, FORM_AUTHORITY, FORM_ORIGIN,
    H_CONTENT_LENGTH, H_CONTENT_TYPE, H_EXPECT, H_HOST, HTTP_2, METHOD_CONNECT, Field, drop_head,
    equals_lower, field_id, method_id, parse_length, take_head,
)
from linkerd2_py._ext.exchange.sound cimport is_sound_request
from linkerd2_py._ext.http2.huffman cimport huffman_decode
from linkerd2_py._ext.http2.long_strings cimport BlockScan, LongString, long_string
from linkerd2_py._ext.http2.nghttp2 cimport (
    NGHTTP2_NV_FLAG_NO_INDEX, nghttp2_check_header_value_rfc9113, nghttp2_rcbuf_decref,
    nghttp2_rcbuf_get_buf, nghttp2_rcbuf_incref, nghttp2_rcbuf_is_static, nghttp2_vec,
)

cdef enum:
    # A colon and a line end, so that no head grows over the limit on its way between two proxies.
    FIELD_OVERHEAD = 3
    CRUMB_OVERHEAD = 32        # RFC 9113 section 6.5.2
    OUR_FIELDS = 16            # what proxies add: it passes beside what the application may send
    OUR_BYTES = 1024           # of one of them
    BOMB_FACTOR = 4            # this many limits decoded: no answer, only a reset
    FIRST_HELD = 32
    KEPT_BLOCKS = 1024

cdef Shelf free_blocks


@cython.final
cdef class Block:
    def __cinit__(self):
        self.held = <nghttp2_rcbuf**> malloc(FIRST_HELD * sizeof(nghttp2_rcbuf*))
        if self.held == NULL:
            raise MemoryError
        self.held_room = FIRST_HELD

    def __dealloc__(self):
        cdef int i
        for i in range(self.held_count):
            nghttp2_rcbuf_decref(self.held[i])
        free(self.held)
        self.held = NULL

    cdef Collected collect(self, nghttp2_rcbuf* name, nghttp2_rcbuf* value, uint8_t flags,
            Limits limits) noexcept:
        cdef nghttp2_vec key = nghttp2_rcbuf_get_buf(name)
        cdef nghttp2_vec val = nghttp2_rcbuf_get_buf(value)
        cdef const char* text = <const char*> key.base
        cdef Collected fits = self.count(text, key.len, val.len, limits)
        if fits != COLLECTED:
            return fits
        if ((self.held_count + 2 > self.held_room or self.head.count == self.head.room)
                and not self.make_room()):
            return COLLECTED_BOMB
        self.hold(value)
        if key.len and text[0] == c":":
            self.pseudo(text, key.len, <const char*> val.base, val.len)
            return COLLECTED
        if not nghttp2_rcbuf_is_static(name):
            self.hold(name)
        self.head.append(
            text, key.len, <const char*> val.base, val.len, field_id(text, key.len),
            FIELD_LOWER | FIELD_SENSITIVE if flags & NGHTTP2_NV_FLAG_NO_INDEX else FIELD_LOWER,
        )
        return COLLECTED

    cdef Collected count(self, const char* name, size_t length, size_t value_len, Limits limits) noexcept:
        if length and name[0] == c":":
            self.bytes += <uint32_t> value_len
        elif length == 6 and memcmp(name, <const char*> "cookie", 6) == 0:
            self.crumbs += 1
            self.fields += self.crumbs == 1
            self.bytes += <uint32_t> (
                value_len + (6 + FIELD_OVERHEAD if self.crumbs == 1 else CRUMB_OVERHEAD)
            )
        elif (length > 4 and memcmp(name, <const char*> "l5d-", 4) == 0 and self.ours < OUR_FIELDS
                and value_len <= OUR_BYTES):
            self.ours += 1
        else:
            self.bytes += <uint32_t> (length + value_len + FIELD_OVERHEAD)
            self.fields += 1
        if self.bytes <= limits.header_list_bytes and self.fields <= limits.header_fields:
            return COLLECTED
        self.oversized = True
        if (self.bytes > BOMB_FACTOR * limits.header_list_bytes
                or self.fields > BOMB_FACTOR * limits.header_fields):
            return COLLECTED_BOMB
        return COLLECTED_NOT

    cdef Collected collect_spanning(self, BlockScan* scan, nghttp2_rcbuf* name, nghttp2_rcbuf* value,
            uint8_t flags, Limits limits) noexcept:
        cdef bint passed_over = False
        cdef LongString* string = long_string(scan, self.seen, &passed_over)
        self.seen += 1
        if passed_over:
            return COLLECTED
        if string == NULL:
            return self.collect(name, value, flags, limits)
        return self.await_long(string, name, flags, limits)

    cdef Collected await_long(self, LongString* string, nghttp2_rcbuf* name, uint8_t flags,
            Limits limits) noexcept:
        """The name's place.

        What stands in for the value is shorter than it, so that most of it is still to come.
        """
        cdef nghttp2_vec key = nghttp2_rcbuf_get_buf(name)
        cdef const char* text = <const char*> key.base
        if string.is_name or text[0] == c":":
            return COLLECTED_BOMB
        if not string.is_kept:
            return self.count(text, key.len, string.length, limits)
        if not self.make_room():
            return COLLECTED_BOMB
        self.hold(name)
        string.slot = self.head.count
        self.head.append(text, key.len, text, 0, field_id(text, key.len),
            FIELD_LOWER | FIELD_SENSITIVE if flags & NGHTTP2_NV_FLAG_NO_INDEX else FIELD_LOWER)
        return COLLECTED

    cdef Collected finish_long(self, BlockScan* scan, Limits limits) except? COLLECTED_BOMB:
        cdef LongString* string
        cdef Collected fits
        cdef int i
        for i in range(scan.count):
            string = &scan.strings[i]
            if string.slot >= 0 and not self.oversized:
                fits = self.take_long(string, &self.head.fields[string.slot], limits)
                if fits == COLLECTED_BOMB:
                    return fits
        return COLLECTED

    cdef Collected take_long(self, LongString* string, Field* field, Limits limits) except? COLLECTED_BOMB:
        cdef Py_ssize_t size = (
            huffman_decode(string.text, string.have, NULL) if string.huffman else <Py_ssize_t> string.have
        )
        cdef Collected fits
        cdef char* copy
        if string.have < string.length or size < 0:
            return COLLECTED_BOMB
        fits = self.count(field.name, field.name_len, size, limits)
        if fits != COLLECTED:
            return fits
        copy = self.head.alloc(size)
        if string.huffman:
            huffman_decode(string.text, string.have, copy)
        else:
            memcpy(copy, string.text, size)
        field.value = copy
        field.value_len = <uint32_t> size
        if not nghttp2_check_header_value_rfc9113(<const uint8_t*> copy, size):
            return COLLECTED_BOMB
        return COLLECTED

    cdef bint make_room(self) noexcept:
        cdef nghttp2_rcbuf** more
        if self.held_count + 2 > self.held_room:
            more = <nghttp2_rcbuf**> realloc(self.held, 2 * self.held_room * sizeof(nghttp2_rcbuf*))
            if more == NULL:
                return False
            self.held = more
            self.held_room *= 2
        if self.head.count < self.head.room:
            return True
        try:
            self.head.grow()
        except MemoryError:
            return False
        return True

    cdef int hold(self, nghttp2_rcbuf* buffer) noexcept:
        nghttp2_rcbuf_incref(buffer)
        self.held[self.held_count] = buffer
        self.held_count += 1
        return 0

    cdef int pseudo(self, const char* name, size_t length, const char* value, size_t value_len) noexcept:
        # libnghttp2 has refused duplicates and unknown ones.
        cdef Span span
        span.ptr = value
        span.len = value_len
        if length == 5:
            self.head.path = span
        elif length == 10:
            self.head.authority = span
        elif memcmp(name, <const char*> ":method", 7) == 0:
            self.head.method = span
        elif memcmp(name, <const char*> ":scheme", 7) == 0:
            self.head.scheme = span
        elif memcmp(name, <const char*> ":status", 7) == 0:
            # Never 0, which says that there was none.
            self.head.status = <int> parse_length(value, value_len) or -1
        return 0

    cdef Verdict finish_request(self) except? VERDICT_CONNECT:
        cdef Head head = self.head
        if self.oversized:
            return VERDICT_OVERSIZED
        head.method_id = method_id(head.method.ptr, head.method.len)
        if not self.settle_authority() or not is_sound_request(head):
            return VERDICT_MALFORMED
        if head.method_id == METHOD_CONNECT:
            head.form = FORM_AUTHORITY
            return VERDICT_CONNECT
        head.form = FORM_ASTERISK if head.path.ptr[0] == c"*" else FORM_ORIGIN
        self.read_known()
        self.join_cookies()
        return VERDICT_GOOD

    cdef bint settle_authority(self) noexcept:
        """One authority, never two that differ (RFC 9113 section 8.3.1), and no Host beside it."""
        cdef Head head = self.head
        cdef Field* host = head.find(H_HOST)
        if host != NULL:
            if head.authority.len == 0:
                head.authority.ptr = host.value
                head.authority.len = host.value_len
            elif not same_letters(head.authority.ptr, head.authority.len, host.value, host.value_len):
                return False
            head.drop(H_HOST)
        return True

    cdef Verdict finish_response(self) except? VERDICT_CONNECT:
        if self.oversized:
            return VERDICT_OVERSIZED
        if self.head.status < 100:
            return VERDICT_MALFORMED
        self.read_known()
        return VERDICT_GOOD

    cdef int read_known(self) except -1:
        cdef Head head = self.head
        cdef Field* field
        cdef int i
        for i in range(head.count):
            field = &head.fields[i]
            if field.id == H_CONTENT_LENGTH:
                head.content_length = parse_length(field.value, field.value_len)
            elif field.id == H_CONTENT_TYPE:
                head.is_grpc = field.value_len >= 16 and equals_lower(field.value, 16, "application/grpc", 16)
            elif field.id == H_EXPECT:
                head.expect_continue = equals_lower(field.value, field.value_len, "100-continue", 12)
        return 0

    cdef int join_cookies(self) except -1:
        """One Cookie field, as HTTP/1 wants it (RFC 9113 section 8.2.3)."""
        cdef Head head = self.head
        cdef Field* field
        cdef Field* first = NULL
        cdef size_t total = 0
        cdef char* place
        cdef char* joined
        cdef int i
        if self.crumbs < 2:
            return 0
        for i in range(head.count):
            if is_cookie(&head.fields[i]):
                total += head.fields[i].value_len + 2
        joined = place = head.alloc(total)
        for i in range(head.count):
            field = &head.fields[i]
            if not is_cookie(field):
                continue
            if first == NULL:
                first = field
            else:
                memcpy(place, <const char*> "; ", 2)
                place += 2
                field.flags |= FIELD_DROPPED
            memcpy(place, field.value, field.value_len)
            place += field.value_len
        first.value = joined
        first.value_len = <uint32_t> (place - joined)
        return 0

    cdef int clear(self) except -1:
        cdef int i
        for i in range(self.held_count):
            nghttp2_rcbuf_decref(self.held[i])
        self.held_count = 0
        if self.head is not None:
            drop_head(self.head)
            self.head = None
        return 0


cdef inline bint is_cookie(Field* field) noexcept:
    return field.name_len == 6 and memcmp(field.name, <const char*> "cookie", 6) == 0


cdef bint same_letters(const char* left, size_t left_len, const char* right, size_t right_len) noexcept nogil:
    cdef size_t i
    cdef unsigned char a, b
    if left_len != right_len:
        return False
    for i in range(left_len):
        a = <unsigned char> left[i]
        b = <unsigned char> right[i]
        if a != b and ((a | 32) != (b | 32) or not c"a" <= (a | 32) <= c"z"):
            return False
    return True


cdef Block take_block():
    cdef Block block = <Block> shelf_take(&free_blocks) if free_blocks.count else Block.__new__(Block)
    block.head = take_head()
    block.head.version = HTTP_2
    block.bytes = block.fields = 0
    block.crumbs = 0
    block.ours = block.seen = 0
    block.oversized = False
    return block


cdef int drop_block(Block block) except -1:
    if block is None or block.head is None:
        return 0
    block.clear()
    shelf_keep(&free_blocks, block, KEPT_BLOCKS)
    return 0
