/* TLS 1.3 between a connection's socket and its protocol: whom we ask must prove to be --sni, and we prove who we are with --cert.
 *
 * One BIO serves both ways: OpenSSL reads from what `drain` has received, and its writes are sends. So receiving costs the same calls as without
 * TLS, and a connection that is idle holds no buffer. */
#include "load.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#define SUITES "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define HTTP2_ALPN "\x02h2"

static SSL_CTX *settings;
static BIO_METHOD *socket_method;
static SSL_SESSION *sessions[MOST_TARGETS]; /* the newest of each target, for --resume */
static struct text arrived;                 /* what was received and not read yet, during one call */
static int send_code;                       /* errno of the send that failed last */

/* The BIO. */

static int bio_read(BIO *bio, char *bytes, int room)
{
    size_t size = arrived.size < (size_t)room ? arrived.size : (size_t)room;
    BIO_clear_retry_flags(bio);
    if (!size) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(bytes, arrived.bytes, size);
    arrived.bytes += size;
    arrived.size -= size;
    return (int)size;
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
    const struct connection *connection = BIO_get_data(bio);
    ssize_t taken;
    do
        taken = send(connection->fd, bytes, (size_t)size, MSG_NOSIGNAL);
    while (taken < 0 && errno == EINTR);
    BIO_clear_retry_flags(bio);
    if (taken < 0) {
        send_code = errno;
        if (errno == EAGAIN)
            BIO_set_retry_write(bio);
    }
    return (int)taken;
}

static long bio_control(BIO *bio, int command, long number, void *argument)
{
    (void)bio, (void)number, (void)argument;
    return command == BIO_CTRL_FLUSH;
}

/* What all connections share. */

static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());
    return text ? text : "it cannot be used";
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    const struct connection *connection = SSL_get_app_data(ssl);
    SSL_SESSION **kept = &sessions[connection->target - options.targets];
    SSL_SESSION_free(*kept);
    *kept = session;
    return 1; /* it is ours now */
}

static void present(void)
{
    if (SSL_CTX_use_certificate_chain_file(settings, options.tls.cert) != 1)
        die("--cert %s: %s", options.tls.cert, reason());
    if (SSL_CTX_use_PrivateKey_file(settings, options.tls.key, SSL_FILETYPE_PEM) != 1)
        die("--key %s: %s", options.tls.key, reason());
}

static void trust(void)
{
    X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(settings);
    if (SSL_CTX_load_verify_file(settings, options.tls.ca) != 1)
        die("--ca %s: %s", options.tls.ca, reason());
    SSL_CTX_set_verify(settings, SSL_VERIFY_PEER, NULL);
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (X509_VERIFY_PARAM_set1_host(rules, options.tls.sni, 0) != 1)
        die("--sni %s: %s", options.tls.sni, reason());
}

void tls_prepare(void)
{
    const struct protocol *protocol = options.protocol;
    settings = SSL_CTX_new(TLS_client_method());
    socket_method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "received bytes and a socket");
    if (!settings || !socket_method)
        die("out of memory");
    BIO_meth_set_read(socket_method, bio_read);
    BIO_meth_set_write(socket_method, bio_write);
    BIO_meth_set_ctrl(socket_method, bio_control);
    SSL_CTX_set_min_proto_version(settings, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(settings, SUITES);
    SSL_CTX_set_mode(settings, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (protocol == &http2_protocol || protocol == &grpc_protocol)
        SSL_CTX_set_alpn_protos(settings, (const unsigned char *)HTTP2_ALPN, sizeof HTTP2_ALPN - 1);
    if (options.tls.resume) {
        SSL_CTX_set_session_cache_mode(settings, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(settings, keep_session);
    }
    trust();
    if (options.tls.cert)
        present();
}

/* One connection. */

static void advance(struct connection *connection)
{
    ERR_clear_error();
    int result = SSL_do_handshake(connection->ssl);
    if (result == 1) {
        connection->secured = true;
        if (tally.counting) {
            tally.handshakes++;
            tally.resumed += SSL_session_reused(connection->ssl);
        }
        if (!options.protocol->connects_each_time)
            options.protocol->connected(connection);
        return;
    }
    int code = SSL_get_error(connection->ssl, result);
    if (code == SSL_ERROR_WANT_WRITE)
        connection->blocked = true;
    else if (code != SSL_ERROR_WANT_READ)
        connection_fail(connection, code == SSL_ERROR_SYSCALL ? kind_of(send_code) : TLS);
}

void tls_start(struct connection *connection)
{
    SSL_SESSION *session = sessions[connection->target - options.targets];
    BIO *bio = BIO_new(socket_method);
    SSL *ssl = connection->ssl = SSL_new(settings);
    if (!bio || !ssl || SSL_set_tlsext_host_name(ssl, options.tls.sni) != 1)
        die("out of memory");
    BIO_set_data(bio, connection);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_app_data(ssl, connection);
    SSL_set_connect_state(ssl);
    if (session)
        SSL_set_session(ssl, session);
    advance(connection);
}

void tls_continue(struct connection *connection)
{
    connection->blocked = false;
    advance(connection);
}

static void read_records(struct connection *connection)
{
    static char plain[SSL3_RT_MAX_PLAIN_LENGTH];
    while (connection->secured && connection->phase != ENDED) {
        ERR_clear_error();
        int taken = SSL_read(connection->ssl, plain, sizeof plain);
        int code = taken > 0 ? SSL_ERROR_NONE : SSL_get_error(connection->ssl, taken);
        if (taken > 0)
            options.protocol->receive(connection, plain, (size_t)taken);
        else if (code == SSL_ERROR_WANT_READ)
            return;
        else if (code == SSL_ERROR_ZERO_RETURN)
            return options.protocol->closed(connection);
        else
            connection_fail(connection, TLS);
    }
}

void tls_receive(struct connection *connection, const char *bytes, size_t size)
{
    arrived = (struct text){bytes, size};
    if (!connection->secured)
        advance(connection);
    read_records(connection);
    arrived = (struct text){0}; /* what a connection that failed has left is nobody else's */
}

ssize_t tls_send(struct connection *connection, const char *bytes, size_t size)
{
    if (!connection->secured) {
        errno = EAGAIN;
        return -1;
    }
    ERR_clear_error();
    int taken = SSL_write(connection->ssl, bytes, size < INT32_MAX ? (int)size : INT32_MAX);
    if (taken > 0)
        return taken;
    int code = SSL_get_error(connection->ssl, taken);
    errno = code == SSL_ERROR_SYSCALL ? send_code : code == SSL_ERROR_SSL ? EPROTO : EAGAIN;
    return -1;
}

/* Says that nothing follows, if it can be said still. */
void tls_release(struct connection *connection)
{
    if (!connection->ssl)
        return;
    ERR_clear_error();
    if (connection->secured)
        SSL_shutdown(connection->ssl);
    SSL_free(connection->ssl);
    connection->ssl = NULL;
}
