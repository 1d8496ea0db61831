"""Routes of gRPC that a mesh.yaml gives to a service of the sample."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
import yaml

from linkerd2_py.controlplane.local.supervise.launcher import SAMPLE_MESH_FILE
from tests.integration.local.mesh_cli import MeshCli, mesh_up
from tests.support.wait import eventually, patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

VOTING = {
    "retries": {"when": ["unavailable"], "limit": 2},
    "routes": [
        {
            "name": "no-joy",
            "match": {"grpc": "emojivoto.v1.VotingService/VoteJoy"},
            "fail": "resource-exhausted",
        },
        {"name": "votes", "match": {"grpc": "*"}, "requestHeaders": {"set": {"x-via": "mesh"}}},
    ],
    "policy": {"allow": ["web"]},
}


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    said = yaml.safe_load(SAMPLE_MESH_FILE.read_text())
    del said["profiles"]["voting-svc"]
    said["services"]["voting-svc"] |= VOTING
    with mesh_up(
        tmp_path_factory.mktemp("grpc"), {"mesh.yaml": yaml.safe_dump(said, sort_keys=False)}
    ) as made:
        yield made


def test_calls_follow_their_routes(cli: MeshCli) -> None:
    link = cli.state()["links"]["web-svc"]
    with httpx2.Client(base_url=link, trust_env=False, timeout=20 * patience()) as person:
        joy, cat = (person.post(f"/api/vote/{choice}").json() for choice in ("joy", "cat"))
    assert joy == {"counted": False, "reason": "RESOURCE_EXHAUSTED: a route makes it fail"}
    assert cat["counted"] is True


def test_the_routes_are_told_apart(cli: MeshCli) -> None:
    def shown() -> bool:
        rows = cli.json("stat-outbound", "deploy/web")
        found = {one["route"]: one["routeType"] for one in rows if "voting" in one["service"]}
        return found == {"no-joy": "GRPCRoute", "votes": "GRPCRoute"}

    eventually(shown, deadline_s=60, what="both routes among what web called")
