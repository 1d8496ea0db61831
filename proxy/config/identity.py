"""What the variables of identity say together: which are missing, and which speak against each other."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

from linkerd2_py.base.names import PROXY_ENV_PREFIX
from linkerd2_py.proxy.addresses import is_loopback
from linkerd2_py.proxy.config.types import Identity

Values = Mapping[str, Any]
Problems = Iterator[tuple[str, str]]
"""Names of variables without their prefix, each with what is wrong."""

_NEEDED: Final = {
    "IDENTITY_SVC_ADDR": "host:port of the identity service",
    "IDENTITY_TRUST_ANCHORS": "the certificates that are trusted, in PEM",
    "IDENTITY_DIR": "the directory where proxy-identity leaves key.p8 and csr.der",
    "IDENTITY_TOKEN_FILE": "the file with this workload's token",
}
_NEEDED_FOR_KEY: Final = ("IDENTITY_DIR", "IDENTITY_TRUST_ANCHORS")
_NAMES: Final = ("IDENTITY_LOCAL_NAME", "IDENTITY_SERVER_ID", "IDENTITY_SERVER_NAME")
KEY_VARIABLES: Final = frozenset(PROXY_ENV_PREFIX + name for name in (*_NEEDED_FOR_KEY, *_NAMES))
"""What `proxy-identity` looks at."""


def is_ignored(variable: str) -> bool:
    """Whether it means nothing once identity is disabled."""
    name = variable.removeprefix(PROXY_ENV_PREFIX)
    return name.startswith("IDENTITY_") and name != "IDENTITY_DISABLED"


def missing(values: Values, *, bad: Container[str]) -> Problems:
    """What a proxy with identity lacks. `bad`: variables that are known to be wrong already."""
    if not any(values[name] or name in bad for name in (*_NEEDED, *_NAMES, "IDENTITY_SVC_NAME")):
        yield (
            "IDENTITY_DISABLED",
            "must be set (to anything) for plain text between proxies; for identity, instead:",
        )
    yield from _unset(values, _NEEDED, bad=bad)
    yield from _names(values, bad=bad)
    address = values["IDENTITY_SVC_ADDR"]
    if address is None or values["IDENTITY_SVC_NAME"] or "IDENTITY_SVC_NAME" in bad:
        return
    if not is_loopback(address.host):
        yield "IDENTITY_SVC_NAME", f"must be set: the identity that answers at {address}"


def missing_for_key(values: Values, *, bad: Container[str]) -> Problems:
    """What the making of a key lacks."""
    yield from _unset(values, _NEEDED_FOR_KEY, bad=bad)
    yield from _names(values, bad=bad)


def contradictions(values: Values) -> Problems:
    """Policies that nobody could meet."""
    if not values["IDENTITY_DISABLED"]:
        return
    reason = f"needs identity, but {PROXY_ENV_PREFIX}IDENTITY_DISABLED is set"
    if values["INBOUND_DEFAULT_POLICY"].endswith("-authenticated"):
        yield "INBOUND_DEFAULT_POLICY", f"{values['INBOUND_DEFAULT_POLICY']} {reason}"
    for name in ("INBOUND_PORTS_REQUIRE_IDENTITY", "INBOUND_PORTS_REQUIRE_TLS"):
        if values[name]:
            yield name, reason


def build(values: Values) -> Identity | None:
    """None where identity is disabled."""
    if values["IDENTITY_DISABLED"]:
        return None
    return Identity(
        address=values["IDENTITY_SVC_ADDR"],
        service_name=values["IDENTITY_SVC_NAME"],
        trust_anchors=values["IDENTITY_TRUST_ANCHORS"],
        directory=values["IDENTITY_DIR"],
        token_file=values["IDENTITY_TOKEN_FILE"],
        local_name=local_name(values),
        min_refresh_s=values["IDENTITY_MIN_REFRESH"],
        max_refresh_s=values["IDENTITY_MAX_REFRESH"],
    )


def local_name(values: Values) -> str:
    """The workload's identity, by its old name or its new ones."""
    found: str = values["IDENTITY_LOCAL_NAME"] or values["IDENTITY_SERVER_ID"]
    return found


def _unset(values: Values, names: Iterable[str], *, bad: Container[str]) -> Problems:
    for name in names:
        if not values[name] and name not in bad:
            yield name, f"must be set: {_NEEDED[name]}"


def _names(values: Values, *, bad: Container[str]) -> Problems:
    local, server_id, server_name = (values[name] for name in _NAMES)
    if any(name in bad for name in _NAMES):
        return
    if local:
        for name in _NAMES[1:]:
            if values[name] and values[name] != local:
                yield (
                    name,
                    f"must be equal to {PROXY_ENV_PREFIX}IDENTITY_LOCAL_NAME, or be left out",
                )
    elif not server_id and not server_name:
        yield "IDENTITY_LOCAL_NAME", "must be set: this workload's identity"
    elif not server_id:
        yield "IDENTITY_SERVER_ID", f"must be set, equal to {PROXY_ENV_PREFIX}IDENTITY_SERVER_NAME"
    elif server_id != server_name:
        yield "IDENTITY_SERVER_NAME", f"must be set, equal to {PROXY_ENV_PREFIX}IDENTITY_SERVER_ID"
