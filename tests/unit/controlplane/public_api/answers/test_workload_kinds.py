"""Workloads of every kind have stats and edges of their own, also where two share a name."""

from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry
from starlette.datastructures import QueryParams

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.base.names import owner_label
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.mesh.objects import Owner, Pod, Service, Workload
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.scraper import Scraper
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.public_api.answers.edges import edges
from linkerd2_py.controlplane.public_api.answers.pods import pods
from linkerd2_py.controlplane.public_api.answers.stat import Row, stat
from linkerd2_py.controlplane.public_api.answers.workloads import workloads
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from linkerd2_py.controlplane.public_api.kinds import SHORT, WORKLOADS
from linkerd2_py.controlplane.public_api.operations import Parts

NS = "shop"
KINDS = sorted(kind.value for kind in WORKLOADS)


def pod_of(kind: str, name: str, *, number: int = 0) -> Pod:
    return Pod(
        NS,
        f"{kind}-{name}-{number}",
        Owner(kind, name),
        (f"10.0.0.{number + 1}",),
        status="Running",
        ready=True,
        meshed=True,
        identity=f"{name}.{NS}",
    )


def parts(found: Sequence[Pod], *, lines: Sequence[str]) -> Parts:
    """A mesh of these pods and their owners, with these metrics of each pod; `%d` is the second."""
    owners = {pod.owner_key for pod in found if pod.owner_key}
    store, samples, clock = MeshStore(), SampleStore(), ManualClock()
    store.replace({Pod: found, Workload: [Workload(*owner, 1) for owner in owners], Service: []})
    for second in range(1, 61):
        clock.advance(1)
        for pod in found:
            assert pod.owner is not None
            labels = {"namespace": NS, "pod": pod.name, owner_label(pod.owner.kind): pod.owner.name}
            text = "".join(f"{line} {second}\n" for line in lines)
            samples.append(pod.key, labels=labels, text=text, at_ms=second * 1000)
    return Parts(
        mesh=store.mesh,
        destination=Destination(store, metrics=CollectorRegistry()),
        metrics=EmbeddedStore(samples, clock=clock),
        reports=Scraper(store, store=samples, clock=clock),
        clock=clock,
        proxy_api_problem=nothing,
    )


async def nothing() -> str:
    return ""


async def tables(of: Parts, query: str) -> dict[str, dict[str, Row]]:
    operation = stat(of.mesh, metrics=of.metrics)
    answer = await operation.run(operation.declaration.read(QueryParams(query)))
    found: list[dict[str, list[Row]]] = answer["tables"]  # type: ignore[assignment]
    return {str(table["type"]): {row["name"]: row for row in table["rows"]} for table in found}


INBOUND = 'response_total{direction="inbound",classification="success",tls="true"}'


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_has_stats_by_all_its_names(kind: str) -> None:
    of = parts([pod_of(kind, "db", number=number) for number in range(2)], lines=[INBOUND])
    for name in (kind, f"{kind}s", SHORT[kind]):  # type: ignore[index]
        ((found, rows),) = (await tables(of, f"type={name}&namespace={NS}")).items()
        assert (found, list(rows)) == (kind, ["db"])
        row = rows["db"]
        assert (row["type"], row["meshed"], row["running"]) == (kind, 2, 2)
        assert row["stats"] is not None
        assert row["stats"]["rps"] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_is_listed(kind: str) -> None:
    of = parts([pod_of(kind, "db"), pod_of("deployment", "web")], lines=[])
    operation = workloads(of.mesh)

    async def listed(query: str) -> list[tuple[str, str]]:
        answer = await operation.run(operation.declaration.read(QueryParams(query)))
        found: list[dict[str, str]] = answer["workloads"]  # type: ignore[assignment]
        return [(one["kind"], one["name"]) for one in found]

    assert (kind, "db") in await listed(f"type={SHORT[kind]}&namespace={NS}")  # type: ignore[index]
    assert await listed("") == sorted([(kind, "db"), ("deployment", "web")])
    assert await listed("namespace=elsewhere") == []


async def test_what_owns_no_pods_is_no_workload() -> None:
    operation = workloads(parts([], lines=[]).mesh)
    with pytest.raises(InvalidQueryError, match="owns no pods"):
        await operation.run(operation.declaration.read(QueryParams("type=svc")))


async def test_workloads_that_share_a_name_are_told_apart() -> None:
    replicas = [pod_of("statefulset", "db", number=number) for number in range(2)]
    of = parts([pod_of("job", "db"), *replicas], lines=[INBOUND])
    rates = {}
    for kind in ("job", "statefulset", "deployment"):
        (rows,) = (await tables(of, f"type={kind}")).values()
        rates[kind] = {
            name: round(row["stats"]["rps"]) for name, row in rows.items() if row["stats"]
        }
    assert rates == {"job": {"db": 1}, "statefulset": {"db": 2}, "deployment": {}}


async def test_all_has_a_table_of_each_kind_that_there_is() -> None:
    of = parts([pod_of("statefulset", "db"), pod_of("cronjob", "backup")], lines=[INBOUND])
    found = await tables(of, "type=all")
    assert list(found) == ["authority", "cronjob", "deployment", "pod", "service", "statefulset"]
    assert list(found["statefulset"]) == ["db"]


@pytest.mark.parametrize("kind", KINDS)
async def test_traffic_between_kinds_is_found_from_both_ends(kind: str) -> None:
    to = f'dst_namespace="{NS}",dst_{owner_label(kind)}="db"'
    line = f'response_total{{direction="outbound",classification="success",tls="true",{to}}}'
    of = parts([pod_of("daemonset", "agent"), pod_of(kind, "db", number=1)], lines=[line])
    (clients,) = (await tables(of, f"type=ds&to_type={kind}&to_name=db&to_namespace={NS}")).values()
    assert "agent" in clients
    source = f"from_type=ds&from_name=agent&from_namespace={NS}"
    (servers,) = (await tables(of, f"type={kind}&{source}")).values()
    assert list(servers) == ["db"]


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_has_edges(kind: str) -> None:
    label = owner_label(kind)
    ends = f'dst_namespace="{NS}",dst_{label}="db",server_id="db.{NS}"'
    line = f'tcp_open_connections{{direction="outbound",peer="dst",tls="true",{ends}}}'
    of = parts([pod_of(kind, "web"), pod_of("pod", "lonely")], lines=[line])
    operation = edges(of.mesh, metrics=of.metrics)
    answer = await operation.run(operation.declaration.read(QueryParams(f"type={kind}")))
    assert answer["edges"] == [
        {
            "src": {"namespace": NS, "type": kind, "name": "web"},
            "dst": {"namespace": NS, "type": kind, "name": "db"},
            "client_id": f"web.{NS}",
            "server_id": f"db.{NS}",
            "no_identity_msg": "",
        }
    ]


async def test_pods_name_their_owners_as_kubectl_does() -> None:
    of = parts([pod_of(kind, "x") for kind in KINDS], lines=[])
    operation = pods(of.mesh, metrics=of.metrics, reports=of.reports, clock=of.clock)
    answer = await operation.run(operation.declaration.read(QueryParams("")))
    found: list[dict[str, str]] = answer["pods"]  # type: ignore[assignment]
    assert {pod["owner"] for pod in found} == {
        *("cj/x", "ds/x", "deploy/x", "job/x", "rc/x", "rs/x", "sts/x")
    }
