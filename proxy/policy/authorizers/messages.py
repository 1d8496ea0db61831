"""What an authorizer is told of a request, and what it says, as values; what it says is bounded and checked
here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from linkerd2_py._ext.exchange.edits import Edits
from linkerd2_py._ext.exchange.gate import Denial
from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.checkpoint import HeldRequest
from linkerd2_py.proto.gen import external_auth_pb2 as external_auth
from linkerd2_py.proxy.addresses import split_host_port

BODY_MAX: Final = 64 * 1024
FIELDS_MAX: Final = 100
_FIELD_BYTES_MAX: Final = 32 * 1024
_MESSAGE_MAX: Final = 1024
_FORBIDDEN: Final = 403
_LEAST_FINAL, _MOST_FINAL = 200, 599
DENIED: Final = "external authorization denies this request"
_Option = external_auth.HeaderValueOption


class AnswerError(Exception):
    """The authorizer could not decide, or said what cannot be; `denial` is what it wants to be answered, if
    anything.
    """

    def __init__(self, reason: str, denial: Denial | None = None) -> None:
        super().__init__(reason)
        self.denial = denial


class LetIn(NamedTuple):
    """`edits`: what is changed of the request. `left_out`: what was to be changed, and is not."""

    edits: Edits | None
    left_out: tuple[str, ...] = ()


def check_request(
    held: HeldRequest,
    *,
    principal: str | None,
    own_name: str,
    extensions: tuple[tuple[str, str], ...],
) -> bytes:
    """All of a request but its body."""
    request = external_auth.CheckRequest()
    attributes = request.attributes
    attributes.source.principal = principal or ""
    attributes.destination.principal = own_name
    peer = held.peer
    if peer is not None:
        _put_address(attributes.source, peer)
    try:
        host, port = split_host_port(_text(held.target))
    except ValueError:
        host, port = "", 0
    attributes.destination.address.socket_address.address = host
    attributes.destination.address.socket_address.port_value = port
    attributes.request.time.GetCurrentTime()
    http = attributes.request.http
    http.method, http.path = _text(held.method), _text(held.path)
    http.host, http.scheme = _text(held.authority), _text(held.scheme) or "http"
    http.protocol, http.size = held.version, held.size
    for name, value in (
        (b":method", held.method),
        (b":path", held.path),
        (b":authority", held.authority),
        (b":scheme", held.scheme or b"http"),
        *held.fields(),
    ):
        key, said = _text(name), _text(value)
        http.headers[key] = f"{http.headers[key]},{said}" if key in http.headers else said
    attributes.context_extensions.update(extensions)
    return request.SerializeToString()


def _put_address(peer: external_auth.AttributeContext.Peer, address: Address) -> None:
    peer.address.socket_address.address = address.host
    peer.address.socket_address.port_value = address.port


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def read_answer(message: external_auth.CheckResponse, held: HeldRequest) -> LetIn | Denial:
    """AnswerError for what is neither."""
    which = message.WhichOneof("http_response")
    if message.status.code == 0:
        if which == "error_response":
            raise AnswerError("it could not decide", _denial(message.error_response, held))
        return _let_in(message.ok_response, held)
    if which == "error_response":
        said = message.error_response
        raise AnswerError("it could not decide", _denial(said, held) if said.status.code else None)
    return _denial(message.denied_response, held)


# ---- what it denies


def _denial(said: external_auth.DeniedHttpResponse, held: HeldRequest) -> Denial:
    status = said.status.code or _FORBIDDEN
    body = said.body.encode("utf-8", "replace")
    if len(body) > BODY_MAX:
        raise AnswerError(f"its body has more than {BODY_MAX} bytes")
    fields = [
        one
        for one in map(_field, _bounded(said.headers))
        if one is not None and _may_change(one[0], one[1])
    ]
    return Denial(
        status if _LEAST_FINAL <= status <= _MOST_FINAL else _FORBIDDEN,
        text=DENIED,
        fields=Edits(add=fields) if fields else None,
        body=b"" if held.method == b"HEAD" else body,
        message=escaped(body[:_MESSAGE_MAX]),
    )


def escaped(text: bytes) -> bytes:
    """As `grpc-message` has it."""
    return b"".join(
        bytes((one,)) if 0x20 <= one <= 0x7E and one != 0x25 else b"%%%02X" % one for one in text
    )


# ---- what it lets in


def _let_in(said: external_auth.OkHttpResponse, held: HeldRequest) -> LetIn:
    there = {name for name, _ in held.fields()} if said.headers else set()
    add: list[tuple[bytes, bytes]] = []
    put: list[tuple[bytes, bytes]] = []
    left_out: list[str] = []
    for option in _bounded(said.headers):
        field = _field(option)
        if field is None:
            continue
        if not _may_change(*field):
            left_out.append(_shown(field[0]))
        elif _appends(option):
            add.append(field)
        elif _counts(option, there=field[0] in there):
            put.append(field)
    remove = [one.lower().encode() for one in said.headers_to_remove[:FIELDS_MAX]]
    left_out += [_shown(one) for one in remove if not _may_change(one)]
    remove = [one for one in remove if _may_change(one)]
    for name in (
        "response_headers_to_add",
        "query_parameters_to_set",
        "query_parameters_to_remove",
    ):
        if getattr(said, name):
            left_out.append(name)
    edits = Edits(add=add, set=put, remove=remove) if add or put or remove else None
    return LetIn(edits, tuple(left_out))


def _bounded(options: object) -> list[_Option]:
    found: list[_Option] = list(options)  # type: ignore[call-overload]
    size = sum(len(one.header.key) + len(one.header.value or one.header.raw_value) for one in found)
    if len(found) > FIELDS_MAX or size > _FIELD_BYTES_MAX:
        raise AnswerError(f"more than {FIELDS_MAX} fields, or {_FIELD_BYTES_MAX} bytes of them")
    return found


def _field(option: _Option) -> tuple[bytes, bytes] | None:
    """None: an empty value, which counts only where it says so."""
    value = option.header.raw_value or option.header.value.encode("utf-8", "replace")
    if not value and not option.keep_empty_value:
        return None
    return option.header.key.lower().encode(), value


def _appends(option: _Option) -> bool:
    """Where nothing is said, a field takes the place of those of its name, unlike elsewhere in that API."""
    return option.HasField("append") and option.append.value


def _counts(option: _Option, *, there: bool) -> bool:
    if option.HasField("append"):
        return True
    if option.append_action == _Option.ADD_IF_ABSENT:
        return not there
    return option.append_action != _Option.OVERWRITE_IF_EXISTS or there


def _may_change(name: bytes, value: bytes = b"") -> bool:
    """What frames a message, says where it goes or is ours is not an authorizer's to change."""
    try:
        Edits(set=[(name, value)])
    except ValueError:
        return False
    return True


def _shown(name: bytes) -> str:
    return name[:80].decode("ascii", "backslashreplace")
