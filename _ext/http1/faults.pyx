# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The table behind ParseFault. Texts go into `l5d-proxy-error` and logs: fixed words, never bytes of the
peer."""

cdef struct Meaning:
    int status
    const char* text

cdef Meaning[<int> PARSE_FAULTS] meanings


cdef void means(int fault, int status, const char* text) noexcept:
    meanings[fault].status = status
    meanings[fault].text = text


means(NO_FAULT, 500, "no fault")
means(BAD_REQUEST_LINE, 400, "malformed request line")
means(BAD_METHOD, 400, "invalid method")
means(BAD_TARGET, 400, "invalid request target")
means(BAD_SCHEME, 400, "unsupported scheme in request target")
means(BAD_AUTHORITY, 400, "invalid authority in request target")
means(BAD_CONNECT, 400, "malformed CONNECT request")
means(BAD_VERSION, 505, "unsupported HTTP version")
means(BAD_STATUS_LINE, 502, "malformed status line")
means(CONTROL_BYTE, 400, "control byte in message head")
means(BARE_CR, 400, "bare CR in message head")
means(BARE_LF, 400, "bare LF in message head")
means(TARGET_TOO_LONG, 414, "request line too long")
means(HEAD_TOO_LARGE, 431, "message head too large")
means(TOO_MANY_FIELDS, 431, "too many header fields")
means(OBS_FOLD, 400, "folded header field")
means(EMPTY_NAME, 400, "empty header field name")
means(BAD_NAME, 400, "invalid header field name")
means(SPACE_BEFORE_COLON, 400, "whitespace before colon in header field")
means(NO_COLON, 400, "header field without colon")
means(MISSING_HOST, 400, "missing Host header field")
means(REPEATED_HOST, 400, "repeated Host header field")
means(BAD_HOST, 400, "invalid Host header field")
means(REPEATED_LENGTH, 400, "repeated Content-Length")
means(BAD_LENGTH, 400, "invalid Content-Length")
means(BAD_CODING, 400, "invalid Transfer-Encoding")
means(UNKNOWN_CODING, 501, "unsupported Transfer-Encoding")
means(CODING_IN_10, 400, "Transfer-Encoding in HTTP/1.0")
means(LENGTH_AND_CODING, 400, "both Content-Length and Transfer-Encoding")
means(BAD_CONNECTION, 400, "invalid Connection header field")
means(BAD_CHUNK_SIZE, 400, "invalid chunk size")
means(BAD_CHUNK_EXTENSION, 400, "invalid chunk extension")
means(CHUNK_LINE_TOO_LONG, 400, "chunk line too long")
means(EXTENSIONS_TOO_LARGE, 400, "chunk extensions too large")
means(BAD_CHUNK_END, 400, "chunk not ended by CRLF")
means(TRAILERS_TOO_LARGE, 431, "trailer section too large")


cdef int parse_fault_status(int fault) noexcept:
    return meanings[fault].status if 0 < fault < PARSE_FAULTS else 500


cdef const char* parse_fault_text(int fault) noexcept:
    return meanings[fault].text if 0 < fault < PARSE_FAULTS else meanings[0].text
