"""The same mesh gives the same bytes from `Get` and `GetProfile`, whatever its source; L5D_UPDATE_GOLDEN=1
writes them anew.
"""

from collections.abc import Awaitable

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.destination.refusals import RefusedError
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.proto.gen import destination_pb2 as messages
from tests.support.golden import assert_golden

SUFFIX = "shop.svc.cluster.local"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("meshed", f"web.{SUFFIX}:80"),
        ("opaque", f"web.{SUFFIX}:90"),
        ("unmeshed", f"db.{SUFFIX}:5432"),
        ("instance", f"web-1.web.{SUFFIX}:80"),
        ("instance_not_ready", f"web-2.web.{SUFFIX}:80"),
        ("nobody_behind", f"idle.{SUFFIX}:80"),
        ("no_such_service", f"none.{SUFFIX}:80"),
    ],
)
async def test_get(store: MeshStore, name: str, path: str) -> None:
    destination = Destination(store, metrics=CollectorRegistry())
    asked = destination.endpoints.snapshot(destination.endpoints_question(path))
    assert_golden(f"source/get_{name}.golden", await _written(asked, messages.Update()))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("service", f"web.{SUFFIX}:80"),
        ("opaque_service", f"web.{SUFFIX}:90"),
        ("no_such_service", f"none.{SUFFIX}:80"),
        ("virtual_ipv4", "10.96.0.10:80"),
        ("virtual_ipv6", "[fd00:96::10]:90"),
        ("pod_ipv4", "10.1.0.10:8080"),
        ("pod_ipv6", "[fd00::10]:9090"),
        ("pod_undeclared_port", "10.1.0.10:7777"),
        ("pod_admin_port", "10.1.0.10:4191"),
        ("pod_not_ready", "10.1.0.12:8080"),
        ("pod_unmeshed", "10.1.0.20:5432"),
        ("nobody", "192.0.2.1:80"),
    ],
)
async def test_get_profile(store: MeshStore, name: str, path: str) -> None:
    destination = Destination(store, metrics=CollectorRegistry())
    asked = destination.profiles.snapshot(destination.profile_question(path))
    written = await _written(asked, messages.DestinationProfile())
    assert_golden(f"source/profile_{name}.golden", written)


async def _written(asked: Awaitable[tuple[bytes, ...]], kind: Message) -> str:
    """To be read by people, and the very bytes."""
    lines: list[str] = []
    try:
        for encoded in await asked:
            kind.ParseFromString(encoded)
            lines += [text_format.MessageToString(kind), f"# {encoded.hex()}"]
    except RefusedError as error:
        lines = [f"{error.reason}: {error}"]
    return "\n".join(lines or ["nothing yet"]) + "\n"
