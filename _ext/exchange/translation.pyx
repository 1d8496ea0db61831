# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""HTTP/1 and HTTP/2 on either side of an exchange, and HTTP/1 within HTTP/2 between two proxies."""

from linkerd2_py._ext.core.fault cimport FAULT_PROTOCOL
from linkerd2_py._ext.exchange.backend cimport WANTS_HTTP1, WANTS_HTTP2, WANTS_TRANSPORT
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, FORM_ORIGIN, H_HOST, H_L5D_PROXY_CONNECTION, H_L5D_PROXY_ERROR, HTTP_2, HTTP_11,
    METHOD_CONNECT, drop_head, take_head,
)
from linkerd2_py._ext.exchange.orig_proto cimport (
    mark_request, mark_response, restore_request, restore_response, strip,
)


# ---- the request


cdef int note_request(Translation* translation, Stream server, Head request, bint from_peer) except -1:
    translation.is_grpc = request.is_grpc
    translation.is_connect = request.method_id == METHOD_CONNECT
    translation.is_upgrade = request.upgrade
    translation.carried_in = translation.carried_out = False
    translation.mark = -1
    if from_peer and server.version == HTTP_2:
        translation.carried_in = restore_request(request)
    else:
        strip(request)
    translation.spoken = request.version
    return 0


cdef int to_origin_form(Head request) except -1:
    request.form = FORM_ORIGIN
    request.target = request.path
    request.drop(H_HOST)
    return request.add("Host", 4, request.authority.ptr, request.authority.len, H_HOST, 0)


cdef Wants wants_of(const Translation* translation, Head request, Backend backend, bint by_connect) noexcept:
    """HTTP/1 travels as HTTP/2 to a meshed peer, but never an upgrade or a CONNECT. HTTP/2 stays HTTP/2
    unless the server knows none (gRPC needs it)."""
    if translation.is_connect and by_connect:
        return WANTS_TRANSPORT
    if translation.spoken == HTTP_2:
        return WANTS_HTTP1 if backend.http1_only and not translation.is_grpc else WANTS_HTTP2
    if not backend.h2 or backend.http1_only or translation.is_upgrade or translation.is_connect:
        return WANTS_HTTP1
    return WANTS_HTTP2 if request.authority.len else WANTS_HTTP1


cdef int fit_request(Translation* translation, Head request, Stream client) except -1:
    """Adds l5d-orig-proto for an HTTP/2 half; takes it back when a second attempt goes to an HTTP/1 one."""
    cdef bint wanted = client.version == HTTP_2 and request.version != HTTP_2
    if wanted and translation.mark < 0:
        strip(request)
        translation.mark = mark_request(request)
    elif translation.mark >= 0:
        if wanted:
            request.fields[translation.mark].flags &= ~FIELD_DROPPED
        else:
            request.fields[translation.mark].flags |= FIELD_DROPPED
    translation.carried_out = wanted
    return 0


cdef bint may_come_back(Stream client) noexcept:
    """An HTTP/2 server may refuse a stream, and a kept connection may have ended before a byte was
    written."""
    return client.pooled or client.version == HTTP_2


# ---- the response


cdef int fit_response(
    const Translation* translation, Head response, Backend backend, bint outbound
) except -1:
    if translation.carried_out:
        restore_response(response)
    if outbound and backend.alone and backend.secured and response.present >> H_L5D_PROXY_CONNECTION & 1:
        # The peer proxy made this answer itself and has no other replica: the application may find one.
        response.wants_close = True
    fit_interim(response, outbound)
    if translation.carried_in:
        mark_response(response, response.version)
    return 0


cdef int fit_interim(Head response, bint outbound) noexcept:
    strip(response)
    if outbound:
        response.drop(H_L5D_PROXY_ERROR)
        response.drop(H_L5D_PROXY_CONNECTION)
    return 0


cdef bint opens_tunnel(const Translation* translation, int status) noexcept:
    if status == 101:
        return translation.is_upgrade
    return translation.is_connect and 200 <= status < 300


cdef int send_connected(Stream server) except -1:
    cdef Head head = take_head()
    try:
        head.version = HTTP_11
        head.status = 200
        server.send_head(head)
    finally:
        drop_head(head)
    return 0


# ---- ends


cdef bint stays_reset(const Translation* translation, Stream server, FaultKind kind, uint32_t code) noexcept:
    if kind != FAULT_PROTOCOL or code == RESET_NO_ERROR or shows_http1(code):
        return False
    return translation.spoken == HTTP_2 and server.version == HTTP_2


cdef bint may_tell_refusal(const Translation* translation, Stream server) noexcept:
    return server.version == HTTP_2 and not translation.is_grpc


cdef bint can_explain(const Translation* translation, Stream server, FaultKind kind) noexcept:
    return translation.is_grpc and server.version == HTTP_2 and kind != FAULT_PROTOCOL
