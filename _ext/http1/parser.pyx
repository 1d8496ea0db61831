# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Finds the end of a head while refusing control bytes, then reads the lines of the complete head once.

What is wrong with an incomplete head is found with the line that makes it so, and in a whole one the first
wrong line counts: that is why verdicts do not depend on where the bytes were split, and nobody waits for the
rest of what can only become worse.
"""

from libc.string cimport memchr, memcmp, memcpy

from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.head cimport (
    FORM_ABSOLUTE,
    FORM_ASTERISK,
    FORM_AUTHORITY,
    FORM_ORIGIN,
    HTTP_10,
    HTTP_11,
    METHOD_CONNECT,
    METHOD_OPTIONS,
    equals_lower,
    method_id,
)
from linkerd2_py._ext.exchange.sound cimport is_authority, settle_trailers
from linkerd2_py._ext.http1.faults cimport (
    BAD_AUTHORITY,
    BAD_CONNECT,
    BAD_METHOD,
    BAD_REQUEST_LINE,
    BAD_SCHEME,
    BAD_STATUS_LINE,
    BAD_TARGET,
    BAD_VERSION,
    BARE_CR,
    BARE_LF,
    CONTROL_BYTE,
    HEAD_TOO_LARGE,
    TARGET_TOO_LONG,
    TOO_MANY_FIELDS,
    TRAILERS_TOO_LARGE,
)
from linkerd2_py._ext.http1.fields cimport Seen, field_fault, parse_fields, settle_request, settle_response
from linkerd2_py._ext.core.scan cimport DIGIT, TARGET, TOKEN, is_class, next_control, skip_class

cdef enum Section:
    REQUEST_HEAD, RESPONSE_HEAD, TRAILERS

# Where the scan of a head stands.
cdef struct Scan:
    Section section
    size_t known        # bytes that an earlier call has seen: the lines that end in them are right
    size_t base         # the first byte that counts (after a skipped CRLF)
    size_t reached      # offset of the verdict, or n
    int verdict         # length, 0 for more, or -fault
    size_t first_line   # longest allowed first line, 0 = no bound of its own
    size_t whole        # longest allowed section


cdef int parse_request(const char* p, size_t n, size_t* scanned, Head head, Limits limits) noexcept:
    cdef Seen seen
    cdef Scan scan
    cdef int fault
    cdef const char* line_end
    scan.section = REQUEST_HEAD
    scan.base = 2 if n >= 2 and p[0] == c"\r" and p[1] == c"\n" else 0
    scan.first_line = limits.request_line_bytes
    scan.whole = limits.head_bytes
    find_end(p, n, scanned, &scan)
    if scan.verdict <= 0:
        return judge_lines(p, &scan, head, limits.head_fields)
    if scan.verdict == <int> scan.base + 2:
        return -BAD_REQUEST_LINE
    line_end = <const char*> memchr(p + scan.base, c"\r", n - scan.base)
    fault = request_line(p + scan.base, line_end, head)
    if fault == 0:
        fault = parse_fields(line_end + 2, p + scan.verdict, head, &seen, limits.head_fields)
    if fault == 0:
        fault = settle_request(head, &seen)
    return scan.verdict if fault == 0 else fault


cdef int parse_response(
    const char* p, size_t n, size_t* scanned, Head head, Limits limits, int request_method,
) noexcept:
    cdef Seen seen
    cdef Scan scan
    cdef int fault
    cdef const char* line_end
    scan.section = RESPONSE_HEAD
    scan.base = 0
    scan.first_line = 0
    scan.whole = limits.head_bytes
    find_end(p, n, scanned, &scan)
    if scan.verdict <= 0:
        return judge_lines(p, &scan, head, limits.head_fields)
    if scan.verdict == 2:
        return -BAD_STATUS_LINE
    line_end = <const char*> memchr(p, c"\r", n)
    fault = status_line(p, line_end, head)
    if fault == 0:
        fault = parse_fields(line_end + 2, p + scan.verdict, head, &seen, limits.head_fields)
    if fault == 0:
        fault = settle_response(head, &seen, request_method)
    return scan.verdict if fault == 0 else fault


cdef int parse_trailers(const char* p, size_t n, size_t* scanned, Head trailers, Limits limits) noexcept:
    cdef Seen seen
    cdef Scan scan
    cdef int fault
    scan.section = TRAILERS
    scan.base = 0
    scan.first_line = 0
    scan.whole = limits.trailer_bytes
    find_end(p, n, scanned, &scan)
    if scan.verdict <= 0:
        fault = judge_lines(p, &scan, trailers, limits.head_fields)
        return -TRAILERS_TOO_LARGE if fault == -HEAD_TOO_LARGE else fault
    fault = parse_fields(p, p + scan.verdict, trailers, &seen, limits.head_fields)
    if fault < 0:
        return fault
    settle_trailers(trailers)
    return scan.verdict


cdef void find_end(const char* p, size_t n, size_t* scanned, Scan* scan) noexcept:
    cdef size_t known = scanned[0]
    cdef size_t line_limit = scan.base + scan.first_line + 2
    scan.known = known
    find_empty_line(p, n, scanned, scan)
    # A line is judged once, when the scan passes its longest length: later calls would only find the same
    # line end again.
    if (
        scan.first_line and known < line_limit <= scan.reached
        and memchr(p + scan.base, c"\n", scan.first_line + 2) == NULL
    ):
        scan.verdict = -TARGET_TOO_LONG
    elif scan.reached > scan.whole or (scan.verdict == 0 and scan.reached >= scan.whole):
        scan.verdict = -HEAD_TOO_LARGE


cdef void find_empty_line(const char* p, size_t n, size_t* scanned, Scan* scan) noexcept:
    cdef const char* end = p + n
    cdef const char* at = p + max(scanned[0], scan.base)
    cdef const char* first = p + scan.base
    scan.verdict = 0
    scan.reached = n
    while True:
        at = next_control(at, end)
        scanned[0] = at - p
        if at == end:
            return
        if at[0] != c"\r":
            scan.reached = at - p + 1
            scan.verdict = -BARE_LF if at[0] == c"\n" else -CONTROL_BYTE
            return
        if at + 1 == end:
            return
        if at[1] != c"\n":
            scan.reached = at - p + 2
            scan.verdict = -BARE_CR
            return
        if at == first or (at - 1)[0] == c"\n":
            scan.reached = at - p + 2
            scan.verdict = <int> scan.reached
            return
        at += 2


# ---- lines of an incomplete or a refused head


# The fault of the first wrong line among those that are new and end before the verdict; else the verdict.
# Reads each line once.
cdef int judge_lines(const char* p, Scan* scan, Head head, int max_fields) noexcept:
    # The byte that was refused ends no line, and what is too long has none.
    cdef bint all_of_it = scan.verdict == 0 or scan.verdict == -HEAD_TOO_LARGE
    cdef size_t limit = scan.reached if all_of_it else scan.reached - 1
    cdef size_t start = line_start(p, scan)
    cdef const char* end
    cdef int fault, number
    if scan.verdict == -TARGET_TOO_LONG:
        return scan.verdict
    limit = min(limit, scan.whole)
    if start >= limit or memchr(p + start, c"\n", limit - start) == NULL:
        return scan.verdict
    number = lines_before(p + scan.base, p + start)
    while start < limit:
        end = <const char*> memchr(p + start, c"\n", limit - start)
        # An empty line ends what is judged; one without its CR is the verdict.
        if end == NULL or end - 1 <= p + start or (end - 1)[0] != c"\r":
            break
        fault = judge_line(p + start, end - 1, scan.section, number, head, max_fields)
        if fault < 0:
            return fault
        number += 1
        start = end + 1 - p
    return scan.verdict


# Where the first line begins that no earlier call has seen to its end.
cdef size_t line_start(const char* p, Scan* scan) noexcept:
    cdef size_t start = max(scan.known, scan.base)
    while start > scan.base and p[start - 1] != c"\n":
        start -= 1
    return start


cdef int lines_before(const char* p, const char* end) noexcept:
    cdef int count = 0
    while p < end:
        p = <const char*> memchr(p, c"\n", end - p)
        if p == NULL:
            break
        count += 1
        p += 1
    return count


cdef int judge_line(
    const char* p, const char* end, Section section, int number, Head head, int max_fields,
) noexcept:
    cdef int fault
    if section == REQUEST_HEAD and number == 0:
        return request_line(p, end, head)
    if section == RESPONSE_HEAD and number == 0:
        return status_line(p, end, head)
    fault = field_fault(p)
    if fault == 0 and (number if section == TRAILERS else number - 1) >= max_fields:
        fault = -TOO_MANY_FIELDS
    return fault


# ---- request line


cdef int request_line(const char* p, const char* end, Head head) noexcept:
    cdef const char* method_end = skip_class(p, end, TOKEN)
    cdef const char* target = method_end + 1
    cdef const char* target_end
    cdef int fault
    if method_end == p or method_end == end or method_end[0] != c" ":
        return -BAD_METHOD
    target_end = skip_class(target, end, TARGET)
    if target_end == target:
        return -BAD_REQUEST_LINE
    # An HTTP/0.9 line ends here; a fragment or a tab stops the target where no space is.
    if target_end == end:
        return -BAD_REQUEST_LINE
    if target_end[0] != c" ":
        return -BAD_TARGET
    fault = http_version(target_end + 1, end, head)
    if fault:
        return -(BAD_REQUEST_LINE if fault == BAD_STATUS_LINE else fault)
    head.method = span(p, method_end)
    head.method_id = method_id(p, method_end - p)
    head.target = span(target, target_end)
    return read_target(target, target_end, head)


# "HTTP/1.0" or "HTTP/1.1" and nothing after it. BAD_STATUS_LINE stands for "not a version at all".
cdef int http_version(const char* p, const char* end, Head head) noexcept:
    if end - p != 8 or memcmp(p, "HTTP/", 5) != 0 or p[6] != c".":
        return BAD_STATUS_LINE
    if not is_class(p[5], DIGIT) or not is_class(p[7], DIGIT):
        return BAD_STATUS_LINE
    if p[5] != c"1" or p[7] > c"1":
        return BAD_VERSION
    head.version = HTTP_11 if p[7] == c"1" else HTTP_10
    return 0


cdef int read_target(const char* p, const char* end, Head head) noexcept:
    if head.method_id == METHOD_CONNECT:
        if head.version != HTTP_11 or not is_authority(p, end, True):
            return -BAD_CONNECT
        head.form = FORM_AUTHORITY
        head.authority = head.target
        return 0
    if p[0] == c"/":
        head.form = FORM_ORIGIN
        head.path = head.target
        return 0
    if end - p == 1 and p[0] == c"*":
        head.form = FORM_ASTERISK
        head.path = head.target
        return 0 if head.method_id == METHOD_OPTIONS else -BAD_TARGET
    head.form = FORM_ABSOLUTE
    return absolute_form(p, end, head)


cdef int absolute_form(const char* p, const char* end, Head head) noexcept:
    cdef const char* host
    cdef const char* host_end
    if end - p > 7 and equals_lower(p, 7, "http://", 7):
        host = p + 7
        head.scheme.len = 4
    elif end - p > 8 and equals_lower(p, 8, "https://", 8):
        host = p + 8
        head.scheme.len = 5
    else:
        return -scheme_fault(p, end)
    head.scheme.ptr = "https"
    host_end = host
    while host_end < end and host_end[0] != c"/" and host_end[0] != c"?":
        host_end += 1
    if not is_authority(host, host_end, False):
        return -BAD_AUTHORITY
    head.authority = span(host, host_end)
    return absolute_path(host_end, end, head)


cdef int scheme_fault(const char* p, const char* end) noexcept:
    cdef const char* colon = <const char*> memchr(p, c":", end - p)
    if colon != NULL and end - colon > 2 and colon[1] == c"/" and colon[2] == c"/":
        return BAD_SCHEME
    return BAD_TARGET


# An empty path means "/", and "*" for OPTIONS (RFC 9112 3.2.4); "?query" needs a slash that was not sent.
cdef int absolute_path(const char* p, const char* end, Head head) noexcept:
    cdef char* copy
    if p == end:
        head.path.ptr = "*" if head.method_id == METHOD_OPTIONS else "/"
        head.path.len = 1
        return 0
    if p[0] == c"/":
        head.path = span(p, end)
        return 0
    copy = arena(head, end - p + 1)
    if copy == NULL:
        return -HEAD_TOO_LARGE
    copy[0] = c"/"
    memcpy(copy + 1, p, end - p)
    head.path = span(copy, copy + (end - p) + 1)
    return 0


cdef char* arena(Head head, size_t count) noexcept:
    try:
        return head.alloc(count)
    except (MemoryError, ValueError):
        return NULL


# ---- status line


cdef int status_line(const char* p, const char* end, Head head) noexcept:
    cdef int fault
    if end - p < 12 or p[8] != c" ":
        return -BAD_STATUS_LINE
    fault = http_version(p, p + 8, head)
    if fault:
        return -fault
    if not (is_class(p[9], DIGIT) and is_class(p[10], DIGIT) and is_class(p[11], DIGIT)) or p[9] == c"0":
        return -BAD_STATUS_LINE
    head.status = (p[9] - c"0") * 100 + (p[10] - c"0") * 10 + (p[11] - c"0")
    # The reason phrase and even the space before it are left out by many servers.
    if end - p == 12:
        return 0
    if p[12] != c" ":
        return -BAD_STATUS_LINE
    head.reason = span(p + 13, end)
    return 0


cdef inline Span span(const char* p, const char* end) noexcept:
    cdef Span result
    result.ptr = p
    result.len = end - p
    return result
