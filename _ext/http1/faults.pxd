"""Every reason for which HTTP/1 bytes are rejected, each with the status a client is told and a header-safe
text."""

cdef enum ParseFault:
    NO_FAULT = 0
    BAD_REQUEST_LINE      # not "method SP target SP version", HTTP/0.9, a blank line too many
    BAD_METHOD
    BAD_TARGET            # no known form, a fragment, a form its method does not allow
    BAD_SCHEME            # absolute-form other than http and https
    BAD_AUTHORITY         # of the target: userinfo, bad characters, bad port
    BAD_CONNECT           # CONNECT without host:port, in HTTP/1.0, or with a body
    BAD_VERSION           # well-formed, but neither 1.0 nor 1.1
    BAD_STATUS_LINE
    CONTROL_BYTE          # NUL and other controls, DEL
    BARE_CR
    BARE_LF
    TARGET_TOO_LONG
    HEAD_TOO_LARGE
    TOO_MANY_FIELDS
    OBS_FOLD
    EMPTY_NAME
    BAD_NAME
    SPACE_BEFORE_COLON
    NO_COLON
    MISSING_HOST
    REPEATED_HOST
    BAD_HOST
    REPEATED_LENGTH
    BAD_LENGTH
    BAD_CODING            # repeated, malformed, or chunked not last
    UNKNOWN_CODING
    CODING_IN_10
    LENGTH_AND_CODING
    BAD_CONNECTION        # not a list of tokens, or too many of them
    BAD_CHUNK_SIZE
    BAD_CHUNK_EXTENSION
    CHUNK_LINE_TOO_LONG
    EXTENSIONS_TOO_LARGE
    BAD_CHUNK_END
    TRAILERS_TOO_LARGE
    PARSE_FAULTS

cdef int parse_fault_status(int fault) noexcept
cdef const char* parse_fault_text(int fault) noexcept
