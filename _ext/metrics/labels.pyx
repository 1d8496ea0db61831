# cython: language_level=3
"""From (name, value) pairs to the text between the braces.

Values may come from peers: nothing in them can end a value, a line or a set.
"""

import re

cdef object NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
# C0, DEL and C1 controls and the Unicode line breaks: legal to Prometheus, but they break terminals and
# line-wise readers.
cdef object CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
cdef str REPLACEMENT = "\ufffd"


cpdef bytes make_labels(object pairs):
    """Label text without braces, such as b'direction="outbound",tls="no_identity"', in the order given.

    `pairs`: a mapping, or an iterable of (name, value), each str or bytes (UTF-8; other bytes become U+FFFD).
    Left out: names outside Prometheus' grammar, names starting with "__", `le`, and all but the first of
    equal names. Values end after LABEL_VALUE_MAX bytes; a pair that would make the set longer than
    LABEL_TEXT_MAX is left out. Control characters become U+FFFD.
    """
    cdef list parts = []
    cdef set seen = set()
    cdef Py_ssize_t length = 0
    cdef bytes part
    for name, value in pairs.items() if hasattr(pairs, "items") else pairs:
        name = text_of(name)
        if name in seen or not is_label_name(name):
            continue
        part = b'%b="%b"' % (name.encode(), escaped(text_of(value)))
        if length + len(part) + 1 > LABEL_TEXT_MAX:
            continue
        seen.add(name)
        length += len(part) + 1
        parts.append(part)
    return b",".join(parts)


cdef bint is_label_name(str name) except -1:
    # Prometheus keeps "__" for itself; `le` belongs to histogram buckets.
    return name != "le" and not name.startswith("__") and NAME.match(name) is not None


cdef str text_of(object value):
    if isinstance(value, bytes):
        return (<bytes> value).decode("utf-8", "replace")
    # A lone surrogate cannot be written as UTF-8.
    return (<str> value).encode("utf-8", "replace").decode("utf-8")


cdef bytes escaped(str value):
    value = CONTROL.sub(REPLACEMENT, value[:LABEL_VALUE_MAX])
    cdef bytes text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").encode()
    while len(text) > LABEL_VALUE_MAX:
        value = value[: len(value) - max(1, (len(text) - LABEL_VALUE_MAX) // 4)]
        text = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").encode()
    return text
