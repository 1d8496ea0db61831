# cython: language_level=3
"""Python doors to what exchanges are made of. Not part of a wheel."""

from libc.stdint cimport uint32_t

from linkerd2_py._ext.balance.accrual cimport VERDICT_FAILURE, VERDICT_LIMITED, Verdict
from linkerd2_py._ext.core.fault cimport FAULT_LOCAL, FaultKind
from linkerd2_py._ext.core.types cimport Span
from linkerd2_py._ext.exchange.backend cimport (
    UNAVAILABLE_CLOSED, UNAVAILABLE_DENIED, UNAVAILABLE_FAILFAST, UNAVAILABLE_FULL, UNAVAILABLE_LOOP,
    UNAVAILABLE_MISTRUSTED, UNAVAILABLE_REJECTED, UNAVAILABLE_SHED,
    Backend, Logical, Router, Waiter, WaiterQueue,
)
from linkerd2_py._ext.exchange.course cimport Course, drop_course, take_course
from linkerd2_py._ext.exchange.edits cimport Edits, undo
from linkerd2_py._ext.exchange.error_response cimport (
    ErrorResponse, early_body_too_large, error_of_break, head_too_large, identity_not_met, request_refused,
    response_to_fault, response_to_refusal, response_to_unavailable, send_error_response,
    send_error_trailers,
)
from linkerd2_py._ext.exchange.exchange cimport (
    ANSWERING, ASKING, FINDING, OVER, RESPONSE_DONE, RESPONSE_HEAD, RESPONSE_NONE, WAITING, Exchange, State,
    heard_states,
)
from linkerd2_py._ext.exchange.head cimport (
    FIELD_DROPPED, FIELD_OF_WAY, FORM_ABSOLUTE, FORM_ORIGIN, HTTP_2, HTTP_10, HTTP_11, Field, Head, Version,
    drop_head, field_id, method_id, take_head,
)
from linkerd2_py._ext.exchange.observe cimport End, Observer
from linkerd2_py._ext.exchange.orig_proto cimport (
    mark_request, mark_response, restore_request, restore_response, strip,
)
from linkerd2_py._ext.exchange.plan cimport Plan, Refusal
from linkerd2_py._ext.exchange.redirect cimport Redirect
from linkerd2_py._ext.exchange.retry cimport Budget, Retry, holds
from linkerd2_py._ext.exchange.sound cimport (
    is_authority, is_path, is_scheme, is_sound_request, is_writable, settle_trailers,
)
from linkerd2_py._ext.exchange.stream cimport ConnectionOwner, Dispatch, Peer, Stream
from linkerd2_py._ext.exchange.translation cimport (
    Translation, can_explain, fit_interim, fit_request, fit_response, may_come_back, may_tell_refusal,
    note_request, opens_tunnel, send_connected, shows_http1, stays_reset, to_origin_form, wants_of,
)
from linkerd2_py._ext.exchange.verdict cimport hold_asked, verdict_of_answer, weight_of_answer
from linkerd2_py._ext.exchange.ways cimport Split
from linkerd2_py._ext.io.loop cimport Loop

FAULTS = (
    "none", "refused", "unreachable", "connect_timeout", "reset", "timeout", "eof", "protocol", "idle",
    "no_fds", "no_memory", "local", "tls", "io",
)
UNAVAILABLE = {
    "failfast": <int> UNAVAILABLE_FAILFAST, "shed": <int> UNAVAILABLE_SHED,
    "rejected": <int> UNAVAILABLE_REJECTED, "closed": <int> UNAVAILABLE_CLOSED,
    "loop": <int> UNAVAILABLE_LOOP, "denied": <int> UNAVAILABLE_DENIED,
    "full": <int> UNAVAILABLE_FULL,
    "mistrusted": <int> UNAVAILABLE_MISTRUSTED,
}
# As metrics/http has them.
ERRORS = (
    "none", "failfast", "load_shed", "connect", "connect_timeout", "tls", "io", "timeout", "protocol",
    "no_route", "loop", "reset", "cancelled", "unexpected", "identity", "tls_detection", "gateway", "denied",
)
VERSIONS = {"1.0": <int> HTTP_10, "1.1": <int> HTTP_11, "2": <int> HTTP_2}
FORMS = {"origin": <int> FORM_ORIGIN, "absolute": <int> FORM_ABSOLUTE}
WANTS = ("http1", "http2", "transport")
STATES = {
    "finding": <int> FINDING, "waiting": <int> WAITING, "asking": <int> ASKING, "answering": <int> ANSWERING,
    "over": <int> OVER,
}


cdef FaultKind fault(str name):
    return <FaultKind> <int> FAULTS.index(name)


cdef list fields_of(Head head):
    cdef Field* field
    cdef int i
    found = []
    for i in range(head.count):
        field = &head.fields[i]
        if not field.flags & FIELD_DROPPED:
            found.append((field.name[:field.name_len], field.value[:field.value_len]))
    return found


cdef int put_fields(Head head, object fields) except -1:
    for name, value in fields:
        head.put(name, len(name), value, len(value), field_id(name, len(name)))
    return 0


cdef class Half(Stream):
    """Either half, of any version: it writes down what it is told."""
    cdef readonly list events

    def __init__(self, str version="1.1", *, bint pooled=False):
        self.version = <Version> <int> VERSIONS[version]
        self.pooled = pooled
        self.events = []

    cdef int send_head(self, Head head) except -1:
        self.events.append(("head", head.status, fields_of(head), bool(head.wants_close)))
        return 0

    cdef int send_trailers(self, Head trailers) except -1:
        self.events.append(("trailers", fields_of(trailers)))
        return 0

    cdef int reset(self, FaultKind kind, uint32_t code) except -1:
        self.events.append(("reset", FAULTS[<int> kind], code))
        return 0


# ---- halves and what they report to, when nobody stands behind them


def bare_half(str command not None):
    cdef Stream half = Stream()
    cdef Head head = take_head()
    try:
        if command == "send_head":
            return half.send_head(head)
        if command == "send_body":
            return half.send_body(b"", 0, True)
        if command == "send_trailers":
            return half.send_trailers(head)
        if command == "send_interim":
            return half.send_interim(head)
        if command == "reset":
            return half.reset(FAULT_LOCAL, 0)
        if command == "into_tunnel":
            return half.into_tunnel() is None
        return half.hold() + half.unhold() + half.release_head()
    finally:
        drop_head(head)


def bare_half_facts():
    """(version, whether it is pooled, whether it is proven, whether it has a peer)"""
    cdef Stream half = Stream()
    return name_of(VERSIONS, half.version), bool(half.pooled), bool(half.is_proven()), half.peer is not None


def bare_peer():
    """What it answers to each report."""
    cdef Peer peer = Peer()
    cdef Head head = take_head()
    try:
        return [
            peer.on_request_head(Stream(), head), peer.on_request_body(b"x", 1, False),
            peer.on_request_trailers(head), peer.on_request_reset(FAULT_LOCAL, 0), peer.on_response_room(),
            peer.on_interim_head(head), peer.on_response_head(head), peer.on_response_body(b"x", 1, False),
            peer.on_response_trailers(head), peer.on_response_reset(FAULT_LOCAL, 0, True),
            peer.on_request_room(),
        ]
    finally:
        drop_head(head)


def bare_dispatch():
    cdef Dispatch dispatch = Dispatch()
    return dispatch.new_exchange(Stream())


def bare_owner():
    """What it answers to each report."""
    cdef ConnectionOwner owner = ConnectionOwner()
    return [
        owner.on_connection_room(None), owner.on_connection_retired(None),
        owner.on_connection_closed(None, FAULT_LOCAL, 0),
    ]


# ---- error responses


cdef tuple said(ErrorResponse answer):
    return answer.status, answer.text[:answer.text_len], bool(answer.close), ERRORS[<int> answer.error]


cdef tuple say(Half half, ErrorResponse answer, bint is_grpc, bint informational):
    send_error_response(half, answer, is_grpc, informational)
    return said(answer)


def answer_fault(Half half not None, str kind not None, *, bint grpc=False, bint informational=False):
    """What is said of it: (status, text, close, error)."""
    return say(half, response_to_fault(fault(kind)), grpc, informational)


def answer_unavailable(
    Half half not None, str why not None, int status, bytes text not None, *, bint grpc=False,
    bint informational=False,
):
    return say(half, response_to_unavailable(UNAVAILABLE[why], status, text), grpc, informational)


def own_answers():
    """Those that are not about a fault or a target."""
    return {
        "head_too_large": said(head_too_large()),
        "early_body_too_large": said(early_body_too_large()),
        "request_refused": said(request_refused()),
        "identity_not_met": said(identity_not_met()),
    }


def end_with_trailers(Half half not None, str kind not None):
    """The gRPC status."""
    return send_error_trailers(half, response_to_fault(fault(kind)))


def break_label(str kind not None, int code):
    return ERRORS[<int> error_of_break(fault(kind), code)]


# ---- heads made for one question


cdef Span span_of(bytes text):
    cdef Span span
    span.ptr = text
    span.len = len(text)
    return span


cdef str name_of(dict names, int value):
    return next(name for name, known in names.items() if known == value)


cdef class Asked:
    """A head, request and response at once, and whether it is sound or how `l5d-orig-proto` changes it."""
    cdef Head head
    cdef tuple kept               # bytes that the head's spans point into

    def __init__(
        self, fields=(), *, bytes method=b"GET", bytes path=b"/", bytes authority=b"a", bytes scheme=b"http",
        bytes reason=b"", str version="1.1", str form="origin",
    ):
        fields = tuple(fields)
        self.kept = (method, path, authority, scheme, reason, fields)
        self.head = take_head()
        self.head.version = <Version> <int> VERSIONS[version]
        self.head.method = span_of(method)
        self.head.method_id = method_id(method, len(method))
        self.head.path = span_of(path)
        self.head.authority = span_of(authority)
        self.head.scheme = span_of(scheme)
        self.head.reason = span_of(reason)
        self.head.form = FORMS[form]
        put_fields(self.head, fields)

    def __dealloc__(self):
        if self.head is not None:
            drop_head(self.head)

    @property
    def fields(self):
        return fields_of(self.head)

    @property
    def version(self):
        return name_of(VERSIONS, self.head.version)

    @property
    def form(self):
        return name_of(FORMS, self.head.form)

    @property
    def path(self):
        return self.head.path.ptr[:self.head.path.len]

    @property
    def authority(self):
        return self.head.authority.ptr[:self.head.authority.len]

    def edit(self, Edits edits not None):
        edits.apply(self.head, 0)

    @property
    def target(self):
        return self.head.target.ptr[:self.head.target.len]

    def drop(self, bytes name not None):
        return self.head.drop(field_id(name, len(name)))

    def is_sound(self):
        return is_sound_request(self.head)

    def is_writable(self):
        return is_writable(self.head)

    def settle_trailers(self):
        settle_trailers(self.head)
        return self.fields

    def mark_request(self):
        return mark_request(self.head)

    def restore_request(self):
        return restore_request(self.head)

    def mark_response(self, str version not None):
        return mark_response(self.head, <Version> <int> VERSIONS[version])

    def restore_response(self):
        return restore_response(self.head)

    def strip(self):
        return strip(self.head)


def answer_refusal(
    Half half not None, Refusal refusal not None, Asked asked not None, *, bint grpc=False,
    bint informational=False,
):
    """As of a fault; None: it is not refused."""
    cdef ErrorResponse answer = response_to_refusal(refusal, asked.head)
    return say(half, answer, grpc, informational) if answer.status else None


def redirected(Redirect redirect not None, Asked asked not None):
    """Where to, or why not: `nowhere else`, `unknown`."""
    cdef Span location
    cdef int whither = <int> redirect.of(asked.head, &location)
    return ("nowhere else", "unknown")[whither - 1] if whither else location.ptr[:location.len]


def sound_authority(bytes text not None, *, bint with_port=False):
    cdef Span span = span_of(text)
    return is_authority(span.ptr, span.ptr + span.len, with_port)


def sound_path(bytes text not None, bytes method=b"GET"):
    """A slash follows it in memory, which is none of its own."""
    cdef bytes more = text + b"/"
    cdef Span span = span_of(more)
    span.len = len(text)
    return is_path(span, method_id(method, len(method)))


def sound_scheme(bytes text not None):
    return is_scheme(span_of(text))


# ---- translation


cdef class Translated:
    """A request on its way from one half to another, and its response on the way back."""
    cdef Translation translation
    cdef Head request
    cdef list kept                # bytes that the request's spans point into

    def __init__(
        self, Half server not None, *, bytes method=b"GET", bytes path=b"/", bytes authority=b"a",
        bytes scheme=b"http", fields=(), bint absolute=False, bint upgrade=False, bint grpc=False,
        bint from_peer=False, str version=None,
    ):
        cdef Head head = take_head()
        self.kept = [method, path, authority, scheme]
        self.request = head
        head.version = server.version if version is None else <Version> <int> VERSIONS[version]
        head.method = span_of(method)
        head.method_id = method_id(method, len(method))
        head.path = head.target = span_of(path)
        head.authority = span_of(authority)
        head.scheme = span_of(scheme)
        head.form = FORM_ABSOLUTE if absolute else FORM_ORIGIN
        head.upgrade = upgrade
        head.is_grpc = grpc
        put_fields(head, fields)
        note_request(&self.translation, server, head, from_peer)

    def __dealloc__(self):
        if self.request is not None:
            drop_head(self.request)

    @property
    def spoken(self):
        return ("1.0", "1.1", "2")[<int> self.translation.spoken]

    @property
    def fields(self):
        return fields_of(self.request)

    @property
    def target(self):
        return self.request.target.ptr[:self.request.target.len]

    def to_origin_form(self):
        to_origin_form(self.request)

    def wants(self, *, bint h2, bint http1_only=False, bint by_connect=False):
        cdef Backend backend = Backend.__new__(Backend)
        backend.h2 = h2
        backend.http1_only = http1_only
        return WANTS[<int> wants_of(&self.translation, self.request, backend, by_connect)]

    def fit(self, Half client not None):
        fit_request(&self.translation, self.request, client)
        return self.fields

    def response(
        self, int status, fields=(), *, str version="1.1", bint outbound=True, bint alone=False,
        bint secured=False, bint interim=False,
    ):
        """(fields, version, close) as the client gets them."""
        cdef Backend backend = Backend.__new__(Backend)
        cdef Head head = take_head()
        backend.alone = alone
        backend.secured = secured
        try:
            head.version = <Version> <int> VERSIONS[version]
            head.status = status
            put_fields(head, fields)
            if interim:
                fit_interim(head, outbound)
            else:
                fit_response(&self.translation, head, backend, outbound)
            return fields_of(head), ("1.0", "1.1", "2")[<int> head.version], bool(head.wants_close)
        finally:
            drop_head(head)

    def opens_tunnel(self, int status):
        return opens_tunnel(&self.translation, status)

    def stays_reset(self, Half server not None, str kind not None, int code):
        return stays_reset(&self.translation, server, fault(kind), code)

    def may_tell_refusal(self, Half server not None):
        return may_tell_refusal(&self.translation, server)

    def can_explain(self, Half server not None, str kind not None):
        return can_explain(&self.translation, server, fault(kind))


def comes_back(Half client not None):
    return may_come_back(client)


def connected(Half server not None):
    send_connected(server)


def http1_shown(int code):
    return shows_http1(code)


# ---- verdicts


def weight(int status, int grpc_status):
    return weight_of_answer(status, grpc_status)


def verdict(int status, int grpc_status):
    """Of a breaker."""
    cdef Verdict found = verdict_of_answer(status, grpc_status)
    return "failure" if found == VERDICT_FAILURE else "limited" if found == VERDICT_LIMITED else "success"


def hold(fields, int wall_s):
    """Nanoseconds."""
    cdef Head head = take_head()
    try:
        put_fields(head, fields)
        return hold_asked(head, wall_s)
    finally:
        drop_head(head)


# ---- states


def heard():
    """The states in which exchanges of this process have heard something: (name, whether the request was
    done)."""
    cdef int seen = heard_states()
    return {
        (name, done) for name, state in STATES.items() for done in (False, True)
        if seen >> (8 if done else 0) & <int> state
    }


cdef class Posed:
    """An exchange that nobody made, put into one state."""
    cdef Exchange exchange
    cdef Half server, client

    def __init__(self, *, bint done, str response not None, str client not None, bint over=False):
        self.server = Half()
        self.client = Half()
        self.exchange = Exchange.__new__(Exchange)
        self.exchange.server = self.server
        self.exchange.request_done = done
        self.exchange.response = {
            "none": RESPONSE_NONE, "head": RESPONSE_HEAD, "done": RESPONSE_DONE
        }[response]
        self.exchange.logical = None if client == "none" else Logical.__new__(Logical)
        self.exchange.client = self.client if client == "half" else None
        self.exchange.over = over

    @property
    def state(self):
        cdef State state = self.exchange.state()
        return next((name for name, value in STATES.items() if value == <int> state), "illegal")

    def tell_room(self):
        """What an exchange may hear in every legal state."""
        self.exchange.on_response_room()

    def tell_request_body(self):
        self.exchange.on_request_body(b"x", 1, False)

    def tell_response_body(self):
        self.exchange.on_response_body(b"x", 1, False)


# ---- observers

ENDS = ("answered", "tunnelled", "failed", "broken", "cancelled")


cdef class Watching(Observer):
    """Writes down what it is told, in `told`, which several may share. `raises`: at which of them it
    raises."""
    cdef readonly list told
    cdef str raises

    def __init__(self, list told=None, *, str raises=""):
        self.told = [] if told is None else told
        self.raises = raises

    cdef int note(self, str what, tuple details) except -1:
        self.told.append((what, *details))
        if what == self.raises:
            raise RuntimeError(f"at {what}")
        return 0

    cdef int on_request(self, Peer exchange, Head head) except -1:
        method = head.method.ptr[:head.method.len]
        return self.note("request", (method, head.path.ptr[:head.path.len]))

    cdef int on_response(self, Peer exchange, Head head) except -1:
        return self.note("response", (head.status, fields_of(head)))

    cdef int on_end(self, Peer exchange, End why) except -1:
        cdef Exchange one = <Exchange> exchange
        return self.note("end", (ENDS[<int> why], one.status, one.grpc_status, ERRORS[<int> one.error]))


def broken(Loop loop not None, Plan plan):
    """What both sides are told of an exchange under way in which something of ours raises, even twice."""
    cdef Exchange exchange = Exchange.__new__(Exchange)
    cdef Router router = Router.__new__(Router)
    cdef Half server = Half(), client = Half()
    router.loop = loop
    exchange.begin(router)
    exchange.server = server
    exchange.client = client
    exchange.plan = plan
    exchange.on_broken()
    exchange.on_broken()
    return server.events, client.events


# ---- waiters


cdef class Named(Waiter):
    """A waiter that can be told from others."""
    cdef readonly str name

    def __init__(self, name: str):
        self.name = name

    def leave_queue(self) -> None:
        self.leave()


cdef class Line:
    """One queue of waiters."""
    cdef WaiterQueue queue

    def __init__(self):
        self.queue = WaiterQueue.__new__(WaiterQueue)

    def append(self, Named waiter not None) -> None:
        self.queue.append(waiter)

    def pop(self) -> Named | None:
        return self.queue.pop()

    def take_all(self, Line other not None) -> None:
        self.queue.take_all(other.queue)

    def __len__(self):
        return self.queue.count


def picks(Split split not None, int times):
    """Which of its ways so many requests take."""
    cdef list ways = list(split.ways)
    return [ways.index(split.pick()) for _ in range(times)]


def overridden(list fields not None, Retry retry=None):
    """What a request with these fields asks for, of a route that heeds it: ns, tries, statuses and codes; and
    the fields that are left of it."""
    cdef Head head = head_of(fields)
    cdef Course course
    cdef Loop loop = Loop()
    cdef int i
    try:
        course = take_course(Plan(heeds_headers=True, retry=retry), head, loop)
        left = [name for name, _ in fields_left(head)]
        if course is None:
            return None, left
        said = {
            "request": course.request_ns, "response": course.response_ns, "try": course.try_ns,
            "retries": course.left if course.retry is not None else None,
            "statuses": {i for i in range(1000) if holds(course.conditions, i, -1)},
            "codes": {i for i in range(32) if holds(course.conditions, -1, i)},
        }
        drop_course(course, loop)
        return said, left
    finally:
        loop.close()
        drop_head(head)


def budgeted(Budget budget not None, list steps not None):
    """After each (ns, whether it is earned rather than spent): whether it could be."""
    cdef list found = []
    for now, earned in steps:
        found.append(budget.earn(now) == 0 if earned else bool(budget.spend(now)))
    return found


def undone(Edits edits not None, list fields not None):
    """The fields of a head that were these, after that was done for a way and taken back."""
    cdef Head head = head_of(fields)
    cdef int count = head.count
    try:
        edits.apply(head, FIELD_OF_WAY)
        undo(head, count)
        return fields_left(head)
    finally:
        drop_head(head)


cdef Head head_of(list fields):
    cdef Head head = take_head()
    cdef bytes name, value
    for name, value in fields:
        head.add(name, len(name), value, len(value), field_id(name, len(name)), 0)
    return head


cdef list fields_left(Head head):
    cdef int i
    return [
        (head.fields[i].name[:head.fields[i].name_len], head.fields[i].value[:head.fields[i].value_len])
        for i in range(head.count) if not head.fields[i].flags & FIELD_DROPPED
    ]


def edited(Edits edits not None, list fields not None):
    """The fields of a head that were these, after that."""
    cdef Head head = head_of(fields)
    try:
        edits.apply(head, 0)
        return fields_left(head)
    finally:
        drop_head(head)
