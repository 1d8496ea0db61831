"""The time as HTTP writes it."""

from libc.time cimport gmtime_r, strftime, time, time_t, tm

cdef enum:
    HTTP_DATE_BYTES = 29               # Sun, 06 Nov 1994 08:49:37 GMT
    HTTP_DATE_ROOM = 30


# Now, into `room`, which has HTTP_DATE_ROOM; the length: HTTP_DATE_BYTES. In the C locale, which nobody
# changes.
cdef inline size_t put_http_date(char* room) noexcept nogil:
    cdef time_t now = time(NULL)
    cdef tm parts
    gmtime_r(&now, &parts)
    return strftime(room, HTTP_DATE_ROOM, "%a, %d %b %Y %H:%M:%S GMT", &parts)
