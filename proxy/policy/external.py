"""Who else has to agree to a request, as a value."""

from __future__ import annotations

from typing import NamedTuple

from linkerd2_py.proto.gen import inbound_pb2 as inbound
from linkerd2_py.proxy.addresses import split_host_port


class External(NamedTuple):
    """An authorizer: where it is asked (`host:port`), how long an answer is waited for, and what holds where
    none comes: requests are let in, or answered `status_on_error`. It is told `extensions` with each.
    """

    labels: tuple[tuple[str, str], ...]
    authority: str
    timeout_s: float = 0.2
    fail_open: bool = False
    status_on_error: int = 503
    extensions: tuple[tuple[str, str], ...] = ()


def external(message: inbound.Authz) -> External | None:
    """None: nobody else. ValueError for one that cannot be asked."""
    if not message.HasField("external_authorization"):
        return None
    said = message.external_authorization
    timeout_s = said.timeout.seconds + said.timeout.nanos / 1e9
    status = said.status_on_error or 503
    try:
        host, port = split_host_port(said.authority)
    except ValueError:
        host, port = "", 0
    if not host or not port or timeout_s <= 0 or not 400 <= status <= 599:
        raise ValueError(f"an authorizer that cannot be asked: {said.authority[:300]!r}")
    resource = said.metadata.resource
    return External(
        (
            ("extauthz_group", resource.group),
            ("extauthz_kind", resource.kind),
            ("extauthz_name", resource.name),
        ),
        said.authority,
        timeout_s=timeout_s,
        fail_open=said.fail_open,
        status_on_error=status,
        extensions=tuple(sorted(said.context_extensions.items())),
    )
