"""Message heads as spans: what codecs parse into and serialise from, independent of the HTTP version.

Spans are borrowed from memory the codec that filled the head holds (its inbox, or a leased arena) until
`Head.reset()`; nothing else may keep them.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t
from linkerd2_py._ext.core.buffer cimport Buffer
from linkerd2_py._ext.core.types cimport Span

cdef enum Version:
    HTTP_10, HTTP_11, HTTP_2

cdef enum TargetForm:
    FORM_ORIGIN, FORM_ABSOLUTE, FORM_AUTHORITY, FORM_ASTERISK

cdef enum Method:
    METHOD_OTHER, METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT, METHOD_DELETE, METHOD_OPTIONS,
    METHOD_TRACE, METHOD_PATCH, METHOD_CONNECT

# Fields the engine itself reads. Everything else is H_OTHER and passes untouched.
cdef enum FieldId:
    H_OTHER, H_HOST, H_CONNECTION, H_KEEP_ALIVE, H_PROXY_CONNECTION, H_PROXY_AUTHENTICATE,
    H_PROXY_AUTHORIZATION, H_TE, H_TRAILER, H_TRANSFER_ENCODING, H_UPGRADE, H_CONTENT_LENGTH,
    H_CONTENT_TYPE, H_EXPECT, H_GRPC_STATUS, H_GRPC_MESSAGE, H_HTTP2_SETTINGS, H_L5D_ORIG_PROTO,
    H_L5D_PROXY_ERROR, H_L5D_PROXY_CONNECTION, H_L5D_OTHER, H_DATE, H_SERVER, H_L5D_CLIENT_ID,
    H_L5D_REQUIRE_ID, H_L5D_DST_CANONICAL, H_L5D_DST_OVERRIDE

cdef enum:
    # All names that are ours, known or not.
    L5D_FIELDS = (
        1 << H_L5D_ORIG_PROTO | 1 << H_L5D_PROXY_ERROR | 1 << H_L5D_PROXY_CONNECTION | 1 << H_L5D_OTHER
        | 1 << H_L5D_CLIENT_ID | 1 << H_L5D_REQUIRE_ID | 1 << H_L5D_DST_CANONICAL | 1 << H_L5D_DST_OVERRIDE
    )

cdef enum FieldFlag:
    FIELD_DROPPED = 1      # hop-by-hop, consumed or replaced: serialisers skip it
    FIELD_LOWER = 2        # name is known to be lower-case already
    FIELD_OF_WAY = 8       # added or dropped for one way of a route, and taken back before another
    FIELD_SENSITIVE = 4    # never-index in HPACK (authorization, cookie short values)

cdef struct Field:
    const char* name
    const char* value
    uint32_t name_len
    uint32_t value_len
    uint8_t id
    uint8_t flags

cdef class Head:
    """A request or a response head (or trailers: fields only). Recycled through take_head()/drop_head()."""
    cdef Field* fields        # owned array
    cdef int count, room
    # One bit per id of a field that was ever added: answers most questions without a look at the fields.
    cdef uint32_t present
    cdef Version version      # as received
    # request
    cdef Method method_id
    cdef Span method
    cdef TargetForm form
    cdef Span scheme          # may be empty (http is meant)
    # From :authority, absolute-form or authority-form, else Host; empty when there is none. A Host field
    # stays in the fields for HTTP/1.
    cdef Span authority
    # Origin-form path and query ("/" when absolute-form had none; "*" for asterisk-form); bytes as sent.
    cdef Span path
    cdef Span target          # HTTP/1: the request target exactly as sent
    # response
    cdef int status
    cdef Span reason          # HTTP/1 only, may be empty
    # framing, from the parsed form (RFC 9112 section 6)
    cdef int64_t content_length   # -1 when none was given
    cdef bint chunked
    cdef bint close_delimited     # response body ends with the connection
    cdef bint end                 # no body and no trailers follow
    cdef bint expect_continue
    # HTTP/1: close the connection after this message. Each codec consumes what it parsed; on a head to send
    # it is a command.
    cdef bint wants_close
    # Request: a valid `Connection: upgrade` + Upgrade other than h2c; response: 101.
    cdef bint upgrade
    cdef bint is_grpc             # HTTP/2 and content-type application/grpc*
    cdef Buffer arena             # leased for values we add or copy (see put), None when unused
    cdef list full_arenas         # leased Buffers before `arena`, or None: never moved, spans point into them
    cdef size_t arena_bytes       # handed out so far, over all arenas

    cdef inline int add(
        self, const char* name, size_t name_len, const char* value, size_t value_len, int id, int flags
    ) except -1:
        if self.count == self.room:
            self.grow()
        return self.append(name, name_len, value, value_len, id, flags)

    # The same where there is room.
    cdef inline int append(
        self, const char* name, size_t name_len, const char* value, size_t value_len, int id, int flags
    ) noexcept:
        cdef Field* field = &self.fields[self.count]
        field.name = name
        field.value = value
        field.name_len = <uint32_t> name_len
        field.value_len = <uint32_t> value_len
        field.id = <uint8_t> id
        field.flags = <uint8_t> flags
        self.present |= <uint32_t> 1 << id
        self.count += 1
        return 0

    # Copies value into the arena first: for values whose memory does not outlive this call.
    cdef int put(
        self, const char* name, size_t name_len, const char* value, size_t value_len, int id
    ) except -1
    # First field with that id not dropped, or NULL.
    cdef inline Field* find(self, int id) noexcept:
        return self.search(id) if self.present >> id & 1 else NULL

    cdef Field* find_name(self, const char* lower_name, size_t length) noexcept   # case-insensitive
    # Flags all fields with that id; how many.
    cdef inline int drop(self, int id) noexcept:
        return self.drop_any(<uint32_t> 1 << id) if self.present >> id & 1 else 0

    # Flags all fields whose id is in that set of bits.
    cdef inline int drop_set(self, uint32_t ids) noexcept:
        return self.drop_any(ids) if self.present & ids else 0

    # Arena memory, never moved until reset; raises ValueError over 8 MiB in all.
    cdef char* alloc(self, size_t count) except NULL
    cdef void reset(self) noexcept                          # forgets everything, gives the arena back
    cdef Field* search(self, int id) noexcept               # private
    cdef int drop_any(self, uint32_t ids) noexcept          # private
    cdef int grow(self) except -1                           # private
    cdef int open_arena(self, size_t count) except -1       # private
    cdef void clear(self) noexcept                          # private

cdef Head take_head()                  # from a bounded free list
cdef void drop_head(Head head) noexcept    # reset and recycle
# Known id of a lower- or mixed-case name. A name of ours that is spelled with underscores counts as the one
# it imitates: to many servers both are one.
cdef int field_id(const char* name, size_t length) noexcept nogil
cdef Method method_id(const char* name, size_t length) noexcept nogil
# Content-Length per RFC 9110 8.6: digits only, overflow checked; -1 invalid.
cdef int64_t parse_length(const char* value, size_t length) noexcept nogil
cdef bint equals_lower(const char* value, size_t length, const char* lower, size_t lower_len) noexcept nogil

cdef extern from *:
    """
    #ifndef L5D_HEAD
    #define L5D_HEAD
    #include <stdint.h>
    #include <string.h>

    static inline uint64_t l5d_letters(const char *text, size_t length)
    {
        uint64_t word = 0;
        memcpy(&word, text, length);
        return word | 0x2020202020202020;
    }

    /* Equal but for case, a word at a time (the last two may overlap). Both are tokens, of which one has
       neither "^" nor "~": no two other bytes of tokens but a letter and its capital differ in that bit. */
    static inline int l5d_same_token(const char *left, const char *right, size_t length)
    {
        size_t at;
        if (length < 4)
            return l5d_letters(left, length) == l5d_letters(right, length);
        if (length < 8)
            return l5d_letters(left, 4) == l5d_letters(right, 4)
                && l5d_letters(left + length - 4, 4) == l5d_letters(right + length - 4, 4);
        for (at = 0; at + 8 <= length; at += 8)
            if (l5d_letters(left + at, 8) != l5d_letters(right + at, 8))
                return 0;
        return l5d_letters(left + length - 8, 8) == l5d_letters(right + length - 8, 8);
    }

    static inline int l5d_begins_with_l5d(const char *token)
    {
        return (token[0] | 0x20) == 'l' && token[1] == '5' && (token[2] | 0x20) == 'd'
            && (token[3] == '-' || token[3] == '_');
    }
    #endif
    """
    bint same_token "l5d_same_token"(const char* left, const char* right, size_t length) noexcept nogil
    # "l5d-" or "l5d_", in any case; four bytes can be read.
    bint begins_with_l5d "l5d_begins_with_l5d"(const char* token) noexcept nogil
