"""Routes with Linkerd's rules: which services, which rows, whose traffic."""

from collections.abc import Mapping

import pytest
from starlette.datastructures import QueryParams

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, Key, PortSpec, Workload
from linkerd2_py.controlplane.mesh.service_profiles import RequestMatch, Route, ServiceProfile
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.public_api.answers.routes import RouteRow, RouteStats, routes
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh

NS = "emojivoto"
HOST = f"voting-svc.{NS}.svc.cluster.local"
VOTE, DOUGHNUT = "/emojivoto.v1.VotingService/VoteFire", "/emojivoto.v1.VotingService/VoteDoughnut"
OLD = "/an/older/profile"


def a_mesh() -> LocalMesh:
    found = LocalMesh()
    found.apply(
        services=[
            ServiceSpec(NS, "voting-svc", "voting", (PortSpec("", 8080, 80),)),
            ServiceSpec(NS, "idle-svc", "idle", (PortSpec("", 80, 80),)),
        ],
        deployments=[Workload(DEPLOYMENT, NS, name, 1) for name in ("web", "voting", "idle")],
        pods=[
            Replica(NS, f"{name}-0", name, f"127.0.1.{at}", ready=True, status="Running")
            for at, name in enumerate(("web", "voting", "idle"), start=1)
        ],
    )
    named = (VOTE, DOUGHNUT, "/never/asked")
    profile = ServiceProfile(NS, HOST, tuple(Route(one, RequestMatch(path=one)) for one in named))
    found.store.replace({ServiceProfile: [profile]})
    return found


def _counted(direction: str, *, second: int, port: int = 8080) -> list[str]:
    """Every second: three votes in 1.5 ms, a doughnut that fails, something that no route means."""
    base = f'direction="{direction}",dst="{HOST}:{port}"'
    lines = []
    for route, outcome, count in (
        (f',rt_route="{VOTE}"', "success", 3),
        (f',rt_route="{DOUGHNUT}"', "failure", 1),
        ("", "success", 2),
    ):
        labels = f"{base}{route}"
        each = f'{{{labels},status_code="200",classification="{outcome}"}}'
        lines.append(f"route_response_total{each} {second * count}")
        if direction == "outbound":
            lines.append(f"route_actual_response_total{each} {second * count * 2}")
        lines += [
            f'route_response_latency_ms_bucket{{{labels},le="{bound}"}} {second * count * (bound != "1")}'
            for bound in ("1", "2", "+Inf")
        ]
    return lines


def exposition(second: int) -> Mapping[str, list[str]]:
    other = f'dst="{HOST.replace(NS, "elsewhere")}:8080",rt_route="{VOTE}",classification="success"'
    return {
        "web": [
            *_counted("outbound", second=second),
            f'route_response_total{{direction="outbound",{other}}} {second * 100}',
        ],
        "voting": [
            *_counted("inbound", second=second),
            f'route_response_total{{direction="inbound",dst="{HOST}:8080",rt_route="{OLD}"}} 7',
        ],
    }


def metrics() -> EmbeddedStore:
    samples = SampleStore()
    for second in range(61):
        for name, lines in exposition(second).items():
            labels = {"namespace": NS, "deployment": name, "pod": f"{name}-0"}
            text = "\n".join(lines) + "\n"
            samples.append(Key(NS, f"{name}-0"), labels=labels, text=text, at_ms=second * 1000)
    clock = ManualClock()
    clock.advance(60)
    return EmbeddedStore(samples, clock=clock)


METRICS, MESH = metrics(), a_mesh()


async def tables(**params: str) -> dict[str, list[RouteRow]]:
    operation = routes(MESH.mesh, metrics=METRICS)
    asked = operation.declaration.read(QueryParams({"namespace": NS, **params}))
    found = await operation.run(asked)
    listed: list = found["tables"]  # type: ignore[assignment, type-arg]
    return {f"{table['type']}/{table['name']}": table["rows"] for table in listed}


def stats(row: RouteRow) -> RouteStats:
    assert row["stats"] is not None
    return row["stats"]


async def test_the_routes_of_who_serves_are_what_arrived() -> None:
    found = (await tables(type="deploy", name="voting"))["deployment/voting"]
    assert [row["route"] for row in found] == [DOUGHNUT, VOTE, "/never/asked", "[DEFAULT]"]
    assert {row["service"] for row in found} == {"voting-svc"}
    doughnut, vote, never, default = found
    assert stats(vote)["rps"] == pytest.approx(3)
    assert (stats(vote)["success_rate"], stats(vote)["latency_ms_p50"]) == (1.0, 2)
    assert (stats(doughnut)["rps"], stats(doughnut)["success_rate"]) == (pytest.approx(1), 0.0)
    assert stats(default)["rps"] == pytest.approx(2)
    assert never["stats"] is None
    assert stats(vote)["actual_rps"] is None


@pytest.mark.parametrize(
    "params", [{"type": "svc", "name": "voting-svc"}, {"type": "ns", "name": NS}]
)
async def test_a_service_and_a_namespace_have_the_same_routes(params: dict[str, str]) -> None:
    (found,) = (await tables(**params)).values()
    rates = {row["route"]: stats(row)["rps"] for row in found if row["stats"]}
    assert rates == pytest.approx({VOTE: 3, DOUGHNUT: 1, "[DEFAULT]": 2})


async def test_calls_to_a_service_are_by_its_clients_with_what_retries_made_of_them() -> None:
    found = await tables(type="deploy", to_type="svc", to_name="voting-svc")
    assert list(found) == ["deployment/web"]
    vote = next(row for row in found["deployment/web"] if row["route"] == VOTE)
    assert (stats(vote)["rps"], stats(vote)["actual_rps"]) == pytest.approx((3, 6))
    # One that is asked for by name is shown, though it calls nothing there.
    idle = await tables(type="deploy", name="idle", to_type="svc", to_name="voting-svc")
    assert all(row["stats"] is None for row in idle["deployment/idle"])


async def test_what_serves_nothing_has_no_table() -> None:
    assert list(await tables(type="deploy")) == ["deployment/idle", "deployment/voting"]
    assert await tables(type="deploy", name="web") == {}
    assert await tables(type="deploy", selector="app=nothing") == {}


async def test_the_profile_of_a_client_has_a_say_first() -> None:
    mesh = a_mesh()
    theirs = ServiceProfile("clients", HOST, (Route("theirs", RequestMatch(path="/")),))
    mesh.store.put(theirs)
    mesh.put(Replica("clients", "c-0", "c", "127.0.1.9", ready=True, status="Running"))
    operation = routes(mesh.mesh, metrics=METRICS)
    params = {
        "type": "po",
        "name": "c-0",
        "namespace": "clients",
        "to_type": "svc",
        "to_namespace": NS,
    }
    found = await operation.run(operation.declaration.read(QueryParams(params)))
    (table,) = found["tables"]  # type: ignore[misc]
    assert "theirs" in {row["route"] for row in table["rows"]}


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"type": "au"}, "not supported: authority"),
        ({"type": "svc", "to_type": "svc"}, "service resource type is not supported"),
        ({"type": "deploy", "to_name": "web"}, "need to_type"),
        ({"type": "deploy", "window": "1h"}, "is not kept"),
        ({"type": "deploy", "selector": "a b"}, "is not a label selector"),
    ],
)
async def test_what_makes_no_sense_is_refused(params: dict[str, str], reason: str) -> None:
    with pytest.raises(InvalidQueryError, match=reason):
        await tables(**params)
