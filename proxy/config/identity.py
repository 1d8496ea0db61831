"""What the settings of identity say together: which are missing, and which speak against each other."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any, Final

from linkerd2_py.base.names import PROXY_ENV_PREFIX
from linkerd2_py.proxy.addresses import Authority, is_loopback
from linkerd2_py.proxy.config.setting import Setting, Values
from linkerd2_py.proxy.config.table import (
    DESTINATION_SVC_ADDR,
    DESTINATION_SVC_NAME,
    IDENTITY_DIR,
    IDENTITY_DISABLED,
    IDENTITY_LOCAL_NAME,
    IDENTITY_MAX_REFRESH,
    IDENTITY_MIN_REFRESH,
    IDENTITY_SERVER_ID,
    IDENTITY_SERVER_NAME,
    IDENTITY_SVC_ADDR,
    IDENTITY_SVC_NAME,
    IDENTITY_TOKEN_FILE,
    IDENTITY_TRUST_ANCHORS,
    INBOUND_DEFAULT_POLICY,
    INBOUND_PORTS_REQUIRE_IDENTITY,
    INBOUND_PORTS_REQUIRE_TLS,
    POLICY_SVC_ADDR,
    POLICY_SVC_NAME,
    TRACE_COLLECTOR_SVC_ADDR,
    TRACE_COLLECTOR_SVC_NAME,
)
from linkerd2_py.proxy.config.types import Identity, Service

Problems = Iterator[tuple[Setting[Any], str]]
"""Settings, each with what is wrong."""
Needs = Iterable[tuple[Setting[Any], str]]
"""Settings, each with what must be there."""

_NEEDED_FOR_KEY: Final = (
    (IDENTITY_DIR, "the directory where proxy-identity leaves key.p8 and csr.der"),
    (IDENTITY_TRUST_ANCHORS, "the certificates that are trusted, in PEM"),
)
_NEEDED: Final = (
    (IDENTITY_SVC_ADDR, "host:port of the identity service"),
    _NEEDED_FOR_KEY[1],
    _NEEDED_FOR_KEY[0],
    (IDENTITY_TOKEN_FILE, "the file with this workload's token"),
)
_SERVICES: Final = (
    (IDENTITY_SVC_ADDR, IDENTITY_SVC_NAME),
    (DESTINATION_SVC_ADDR, DESTINATION_SVC_NAME),
    (POLICY_SVC_ADDR, POLICY_SVC_NAME),
    (TRACE_COLLECTOR_SVC_ADDR, TRACE_COLLECTOR_SVC_NAME),
)
_NAMES: Final = (IDENTITY_LOCAL_NAME, IDENTITY_SERVER_ID, IDENTITY_SERVER_NAME)
KEY_VARIABLES: Final = frozenset(
    one.variable for one in (IDENTITY_DIR, IDENTITY_TRUST_ANCHORS, *_NAMES)
)
"""What `proxy-identity` looks at."""


def is_ignored(variable: str) -> bool:
    """Whether it means nothing once identity is disabled."""
    if variable == IDENTITY_DISABLED.variable:
        return False
    return variable.startswith(f"{PROXY_ENV_PREFIX}IDENTITY_")


def missing(values: Values, *, bad: Container[str]) -> Problems:
    """What a proxy with identity lacks. `bad`: variables that are known to be wrong already."""
    settings = (*(one for one, _ in _NEEDED), *_NAMES, IDENTITY_SVC_NAME)
    if not any(values[one] or one.variable in bad for one in settings):
        yield (
            IDENTITY_DISABLED,
            "must be set (to anything) for plain text between proxies; for identity, instead:",
        )
    yield from _unset(values, _NEEDED, bad=bad)
    yield from _names(values, bad=bad)
    for at, name in _SERVICES:
        address = values[at]
        if address is None or values[name] or name.variable in bad:
            continue
        if not _is_local(address):
            yield name, f"must be set: the identity that answers at {address}"


def service(values: Values, at: Setting[Authority | None]) -> Service | None:
    """A service of the control plane; on loopback, and where this proxy has no identity, nobody has to prove
    who answers.
    """
    address, names = values[at], dict(_SERVICES)
    if address is None:
        return None
    plain = values[IDENTITY_DISABLED] or _is_local(address)
    return Service(address, "" if plain else values[names[at]])


def plain_services(values: Values) -> Problems:
    """Services that are called in plain text over a network."""
    for at, _ in _SERVICES:
        found = service(values, at)
        if found is not None and not found.name and not _is_local(found.address):
            yield at, f"{found.address} is called in plain text, and proves nothing"


def _is_local(address: Authority) -> bool:
    """By its number, or by the absolute name with which the control plane's own pods find it beside them."""
    return is_loopback(address.host) or address.host.lower() == "localhost."


def missing_for_key(values: Values, *, bad: Container[str]) -> Problems:
    """What the making of a key lacks."""
    yield from _unset(values, _NEEDED_FOR_KEY, bad=bad)
    yield from _names(values, bad=bad)


def contradictions(values: Values) -> Problems:
    """Policies that nobody could meet."""
    if not values[IDENTITY_DISABLED]:
        return
    reason = f"needs identity, but {IDENTITY_DISABLED.variable} is set"
    if values[INBOUND_DEFAULT_POLICY].endswith("-authenticated"):
        yield INBOUND_DEFAULT_POLICY, f"{values[INBOUND_DEFAULT_POLICY]} {reason}"
    for ports in (INBOUND_PORTS_REQUIRE_IDENTITY, INBOUND_PORTS_REQUIRE_TLS):
        if values[ports]:
            yield ports, reason


def build(values: Values) -> Identity | None:
    """None where identity is disabled."""
    found = service(values, IDENTITY_SVC_ADDR)
    if found is None or values[IDENTITY_DISABLED]:
        return None
    return Identity(
        service=found,
        trust_anchors=values[IDENTITY_TRUST_ANCHORS],
        directory=values[IDENTITY_DIR],
        token_file=values[IDENTITY_TOKEN_FILE],
        local_name=local_name(values),
        min_refresh_s=values[IDENTITY_MIN_REFRESH],
        max_refresh_s=values[IDENTITY_MAX_REFRESH],
    )


def local_name(values: Values) -> str:
    """The workload's identity, by its old name or its new ones."""
    return values[IDENTITY_LOCAL_NAME] or values[IDENTITY_SERVER_ID]


def _unset(values: Values, needs: Needs, *, bad: Container[str]) -> Problems:
    for one, what in needs:
        if not values[one] and one.variable not in bad:
            yield one, f"must be set: {what}"


def _names(values: Values, *, bad: Container[str]) -> Problems:
    if any(one.variable in bad for one in _NAMES):
        return
    local, server_id, server_name = (values[one] for one in _NAMES)
    if local:
        for one in _NAMES[1:]:
            if values[one] and values[one] != local:
                yield one, f"must be equal to {IDENTITY_LOCAL_NAME.variable}, or be left out"
    elif not server_id and not server_name:
        yield IDENTITY_LOCAL_NAME, "must be set: this workload's identity"
    elif not server_id:
        yield IDENTITY_SERVER_ID, f"must be set, equal to {IDENTITY_SERVER_NAME.variable}"
    elif server_id != server_name:
        yield IDENTITY_SERVER_NAME, f"must be set, equal to {IDENTITY_SERVER_ID.variable}"
