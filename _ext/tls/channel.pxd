"""One TLS connection between memory and memory: ciphertext in and out through two spans, plaintext in and out
through calls. No socket, no session."""

from libc.stdint cimport uint32_t
from linkerd2_py._ext.tls.credentials cimport Credentials
from linkerd2_py._ext.tls.openssl cimport X509_STORE_CTX
from linkerd2_py._ext.tls.party cimport Party, Takes

cdef enum ChannelOutcome:
    CHANNEL_MORE = -2         # the ciphertext that is here has been used up
    CHANNEL_END = -3          # close_notify: the peer says nothing more
    CHANNEL_BROKEN = -4       # see `failure`; an alert may wait in `out`
    CHANNEL_FULL = -5         # handshake: `out` has no room left: send, then call again

cdef struct Pipe:
    const char* in_          # ciphertext that was received, borrowed for one call
    size_t in_left
    char* out                # where ciphertext goes, borrowed for one call
    size_t out_room
    size_t out_used

cdef class Channel(Party):
    cdef Credentials credentials          # owned: the ones in force when it began
    cdef Pipe pipe                        # filled in before each call, read after it
    cdef bytes expected                   # as a client: who the peer must be
    # Its proven identity; None: a client without certificate, or no handshake yet.
    cdef readonly bytes peer
    # Why the handshake or the connection broke, one line; None while it did not.
    cdef readonly str failure
    cdef readonly uint32_t records        # written since the keys were new
    cdef readonly bint done               # handshake
    cdef readonly bint has_header         # transport.l5d.io/v1 was agreed
    cdef readonly bint ended              # the peer's close_notify was read

    cdef Py_ssize_t handshake(self) except -1                     # 0: done; else a ChannelOutcome
    cdef Py_ssize_t read(self, char* dst, size_t room) except -1  # bytes, or a ChannelOutcome
    cdef Py_ssize_t peek(self) except -1                          # 1: plaintext waits; else a ChannelOutcome
    # `count` <= RECORD_BYTES, one record, whole; `out` has room for it, RECORD_EXTRA and a key update.
    cdef Py_ssize_t write(self, const char* src, int count) except -1
    cdef int close_notify(self) except -1
    cdef Py_ssize_t outcome_of(self, int result) except -1
    cdef str what_broke(self, int code)
    cdef Py_ssize_t idle_outcome(self) noexcept

cdef enum:
    RECORD_BYTES = 16384      # of plaintext
    KEY_RECORDS = 1 << 24     # written with one key; RFC 8446 5.5 allows 2^24.5 of full size with AES-GCM
    RECORD_EXTRA = 22         # header, content type and tag of TLS 1.3, RFC 8446 5.2

# The two ends. `server_name` is what SNI says, `expected` whom the certificate must name.
cdef Channel serving(Credentials credentials, Takes takes)
cdef Channel calling(Credentials credentials, bytes server_name, bytes expected, bint offers_header)
