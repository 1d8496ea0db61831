"""What is asked, and as much of who asks as the answer depends on.

One answer serves all who ask the same: a question names the zone of a proxy's node rather than the node, and
the node rather than the proxy, and neither where it makes no difference.
"""

import json
from dataclasses import dataclass
from typing import NamedTuple

from linkerd2_py.controlplane.destination.refusals import RefusedError
from linkerd2_py.controlplane.destination.targets import (
    LONGEST_PATH,
    AddressTarget,
    InvalidPathError,
    ServiceTarget,
    Target,
    parse_target,
)
from linkerd2_py.controlplane.mesh.store import Mesh


@dataclass(frozen=True, slots=True)
class EndpointsQuestion:
    """Who serves a target, as seen from a zone, or from a node that is in no zone that is known, or all of
    whose clients get answers of their own. `prefers_near`: who asks uses those first that are near.
    """

    target: ServiceTarget
    zone: str = ""
    node: str = ""
    prefers_near: bool = False


@dataclass(frozen=True, slots=True)
class ProfileQuestion:
    """What is said of a target, to clients in a namespace; an empty one says nothing of its own."""

    target: Target
    namespace: str = ""


class Token(NamedTuple):
    """What a proxy says of itself. It may say anything: nobody is trusted for it."""

    namespace: str = ""
    node: str = ""


def read_token(said: str) -> Token:
    """`{"ns": …, "nodeName": …, "pod": …}`, or `ns:NAMESPACE` as old proxies wrote it; anything else says
    nothing.
    """
    try:
        found = json.loads(said)
    except (ValueError, RecursionError):
        head, _, namespace = said.partition(":")
        return Token(namespace) if head == "ns" and ":" not in namespace else Token()
    if not isinstance(found, dict):
        return Token()
    namespace, node = found.get("ns", ""), found.get("nodeName", "")
    return (
        Token(namespace, node) if isinstance(namespace, str) and isinstance(node, str) else Token()
    )


def endpoints_question(
    path: str, token: str = "", *, prefers_near: bool = False, mesh: Mesh
) -> EndpointsQuestion:
    """What `Get` is asked. To who does not say where it is, nothing is near. Raises `RefusedError`: an
    address needs no discovery, and what is no name of a service has none.
    """
    try:
        target = parse_target(path)
    except InvalidPathError as error:
        raise RefusedError("invalid", f"Invalid authority: {path[:LONGEST_PATH]}") from error
    if isinstance(target, AddressTarget):
        words = f"IP queries not supported by Get API: host={target.ip}"
        raise RefusedError("invalid", words)
    node = read_token(token).node if token else ""
    if not node:
        return EndpointsQuestion(target)
    service = mesh.services.get(target.service)
    found = mesh.nodes.get(node)
    if found is None or not found.zone or (service is not None and service.local):
        return EndpointsQuestion(target, node=node, prefers_near=prefers_near)
    return EndpointsQuestion(target, zone=found.zone, prefers_near=prefers_near)


def profile_question(path: str, token: str = "", *, mesh: Mesh) -> ProfileQuestion:
    """What `GetProfile` is asked. Raises `RefusedError`."""
    try:
        target = parse_target(path)
    except InvalidPathError as error:
        authority = f'authority: "{path[:LONGEST_PATH]}"'
        what = authority if error.host is None else f'service "{error.host}"'
        raise RefusedError("invalid", f'invalid {what}: "{error}"') from error
    namespace = read_token(token).namespace if token else ""
    service = _service(target, mesh=mesh)
    # Owners speak in their own namespace, to everybody.
    if service is None or namespace == service.service.namespace or service.instance:
        namespace = ""
    return ProfileQuestion(target, namespace)


def _service(target: Target, *, mesh: Mesh) -> ServiceTarget | None:
    """The service that is meant, by its name or by its virtual address."""
    if isinstance(target, ServiceTarget):
        return target
    found = mesh.service_at(str(target.ip))
    return ServiceTarget(found.key, target.port) if found else None
