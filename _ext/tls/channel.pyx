# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""TLS with OpenSSL's state machine and our memory: what it reads and writes are two spans that the caller
lends for the length of one call.

The BIO below is a memory BIO without memory of its own. The peer is judged during the handshake (`judge`), so
that a handshake that ends well has proven who is there.
"""

from libc.limits cimport INT_MAX
from libc.string cimport memcmp, memcpy

from linkerd2_py._ext.core.debug cimport L5D_DEBUG, LIVE_CHANNEL, born, check, gone
from linkerd2_py._ext.tls.credentials cimport last_error
from linkerd2_py._ext.tls.openssl cimport *
from linkerd2_py._ext.tls.party cimport ALPN_HEADER, ALPN_HEADER_BYTES

cdef BIO_METHOD* pipe_method = NULL


cdef int pipe_read(BIO* bio, char* dst, int room) noexcept:
    cdef Pipe* pipe = <Pipe*> BIO_get_data(bio)
    cdef size_t count = min(<size_t> room, pipe.in_left)
    BIO_clear_retry_flags(bio)
    if count == 0:
        BIO_set_retry_read(bio)
        return -1
    memcpy(dst, pipe.in_, count)
    pipe.in_ += count
    pipe.in_left -= count
    return <int> count


cdef int pipe_write(BIO* bio, const char* src, int count) noexcept:
    cdef Pipe* pipe = <Pipe*> BIO_get_data(bio)
    cdef size_t taken = min(<size_t> count, pipe.out_room - pipe.out_used)
    BIO_clear_retry_flags(bio)
    if taken == 0:
        BIO_set_retry_write(bio)
        return -1
    memcpy(pipe.out + pipe.out_used, src, taken)
    pipe.out_used += taken
    return <int> taken


cdef long pipe_ctrl(BIO* bio, int command, long number, void* argument) noexcept:
    return 1 if command == BIO_CTRL_FLUSH else 0


cdef int make_method() except -1:
    global pipe_method
    pipe_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "two spans")
    if pipe_method == NULL:
        raise MemoryError
    BIO_meth_set_read(pipe_method, pipe_read)
    BIO_meth_set_write(pipe_method, pipe_write)
    BIO_meth_set_ctrl(pipe_method, pipe_ctrl)
    return 0


make_method()


cdef class Channel(Party):

    def __cinit__(self):
        if L5D_DEBUG:
            born(LIVE_CHANNEL)

    def __dealloc__(self):
        # Before `pipe` goes, which the BIO points to.
        self.free()
        if L5D_DEBUG:
            gone(LIVE_CHANNEL)

    cdef bint judge(self, X509_STORE_CTX* checking) noexcept:
        cdef bytes identity
        try:
            identity = self.credentials.judge(checking, self.expected is None)
            if identity is None:
                return False
            if self.expected is not None and identity != self.expected:
                found = identity.decode("ascii", "replace")
                self.failure = f"the peer is {found}, not {self.expected.decode('ascii', 'replace')}"
                X509_STORE_CTX_set_error(checking, X509_V_ERR_HOSTNAME_MISMATCH)
                return False
        except Exception as error:
            self.failure = repr(error)
            X509_STORE_CTX_set_error(checking, X509_V_ERR_UNSPECIFIED)
            return False
        self.peer = identity
        return True

    cdef Py_ssize_t handshake(self) except -1:
        cdef int result
        if self.failure is not None:
            return CHANNEL_BROKEN
        ERR_clear_error()
        result = SSL_do_handshake(self.ssl)
        if result != 1:
            return self.outcome_of(result)
        if self.expected is not None and self.peer is None:
            # OpenSSL makes a server send a certificate; this line keeps it true.
            self.failure = "the peer sent no certificate"
            return CHANNEL_BROKEN
        self.done = True
        self.has_header = agreed_header(self.ssl)
        return 0

    cdef Py_ssize_t read(self, char* dst, size_t room) except -1:
        cdef int result
        # Nothing here, or nothing more: OpenSSL would only say so at greater length.
        if self.failure is not None or (self.pipe.in_left == 0 and SSL_pending(self.ssl) == 0):
            return self.idle_outcome()
        if ERR_peek_error():
            ERR_clear_error()
        result = SSL_read(self.ssl, dst, <int> min(room, <size_t> INT_MAX))
        return result if result > 0 else self.outcome_of(result)

    cdef Py_ssize_t peek(self) except -1:
        cdef char byte
        cdef int result
        if self.failure is not None or (self.pipe.in_left == 0 and SSL_pending(self.ssl) == 0):
            return self.idle_outcome()
        ERR_clear_error()
        result = SSL_peek(self.ssl, &byte, 1)
        return result if result > 0 else self.outcome_of(result)

    cdef Py_ssize_t idle_outcome(self) noexcept:
        if self.failure is not None:
            return CHANNEL_BROKEN
        return CHANNEL_END if self.ended else CHANNEL_MORE

    cdef Py_ssize_t write(self, const char* src, int count) except -1:
        cdef int result
        cdef size_t room
        if L5D_DEBUG:
            check(0 < count <= RECORD_BYTES, b"more than a TLS record")
            room = self.pipe.out_room - self.pipe.out_used
            check(room >= <size_t> count + RECORD_EXTRA, b"no room for a TLS record")
        if ERR_peek_error():
            ERR_clear_error()
        self.records += 1
        # The library would go on with the same key for ever. Refused in the middle of the peer's own message:
        # then with the next record.
        if self.records >= KEY_RECORDS and SSL_key_update(self.ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1:
            self.records = 0
        result = SSL_write(self.ssl, src, count)
        return result if result > 0 else self.outcome_of(result)

    cdef int close_notify(self) except -1:
        if self.done and self.failure is None:
            ERR_clear_error()
            SSL_shutdown(self.ssl)
            ERR_clear_error()
        return 0

    cdef Py_ssize_t outcome_of(self, int result) except -1:
        cdef int code = SSL_get_error(self.ssl, result)
        if code == SSL_ERROR_WANT_READ:
            return CHANNEL_MORE
        if code == SSL_ERROR_WANT_WRITE and not self.done:
            return CHANNEL_FULL
        if code == SSL_ERROR_ZERO_RETURN and self.done:
            self.ended = True
            return CHANNEL_END
        if self.failure is None:
            self.failure = self.what_broke(code)
        ERR_clear_error()
        return CHANNEL_BROKEN

    cdef str what_broke(self, int code):
        cdef long verdict = SSL_get_verify_result(self.ssl)
        if code == SSL_ERROR_WANT_WRITE:
            return "the peer asks for new keys again and again and reads nothing"
        if code == SSL_ERROR_ZERO_RETURN:
            return "the peer ended the handshake"
        if not self.done and verdict != X509_V_OK:
            return X509_verify_cert_error_string(verdict).decode("ascii", "replace")
        return last_error()


cdef bint agreed_header(SSL* ssl) noexcept:
    cdef const unsigned char* name = NULL
    cdef unsigned int size = 0
    SSL_get0_alpn_selected(ssl, &name, &size)
    return size == ALPN_HEADER_BYTES - 1 and memcmp(name, ALPN_HEADER + 1, size) == 0


cdef Channel begun(Channel channel, Credentials credentials, SSL_CTX* ctx):
    cdef BIO* bio
    channel.credentials = credentials
    channel.begin(ctx)
    bio = BIO_new(pipe_method)
    if bio == NULL:
        raise MemoryError
    BIO_set_data(bio, &channel.pipe)
    BIO_set_init(bio, 1)
    SSL_set_bio(channel.ssl, bio, bio)
    return channel


cdef Channel serving(Credentials credentials, Takes takes):
    cdef Channel channel
    if credentials.server == NULL:
        raise ValueError("nobody can be served without a certificate")
    channel = begun(Channel.__new__(Channel), credentials, credentials.server)
    channel.takes = takes
    SSL_set_accept_state(channel.ssl)
    return channel


cdef Channel calling(Credentials credentials, bytes server_name, bytes expected, bint offers_header):
    cdef Channel channel = begun(Channel.__new__(Channel), credentials, credentials.client)
    cdef const unsigned char* offered = <const unsigned char*> ALPN_HEADER
    channel.expected = expected
    SSL_set_connect_state(channel.ssl)
    if SSL_set_tlsext_host_name(channel.ssl, server_name) != 1:
        raise ValueError(f"{server_name!r} cannot be a server name")
    # Unlike its sisters, this one answers 0 when it is done.
    if offers_header and SSL_set_alpn_protos(channel.ssl, offered, ALPN_HEADER_BYTES) != 0:
        raise MemoryError
    return channel
