"""Each kind of fault from a minute of samples, as proxies expose them, and the mesh that they are of."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from starlette.datastructures import QueryParams

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.hunt.changes import RecentChanges
from linkerd2_py.controlplane.hunt.evidence import Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight, ranked
from linkerd2_py.controlplane.hunt.gather import Sources, gather
from linkerd2_py.controlplane.hunt.kinds import found_in
from linkerd2_py.controlplane.mesh.objects import (
    DEPLOYMENT,
    ContainerPort,
    Endpoint,
    Endpoints,
    Key,
    Owner,
    Pod,
    PortSpec,
    Service,
    Workload,
)
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.metrics.store import Report
from linkerd2_py.controlplane.public_api.answers.hunt import hunt
from linkerd2_py.controlplane.public_api.errors import InvalidQueryError
from tests.support.samples import histogram, metrics_of

NS = "shop"
NOW = 1_000_000.0
AUTHORITY = f"web-svc.{NS}.svc.cluster.local:80"
VOTE, DOUGHNUT = "/v1.Voting/Vote", "/v1.Voting/VoteDoughnut"
Lines = Callable[[int], Iterable[str]]


class Reports:
    """What the scraper would say."""

    interval_s = 2.0

    def __init__(self, failures: Mapping[Key, str]) -> None:
        self._failures = failures

    async def reports(self) -> dict[Key, Report]:
        return {pod: Report(failure=failure) for pod, failure in self._failures.items()}


def pod(name: str, **different: Any) -> Pod:
    app = name.rpartition("-")[0]
    usual = Pod(
        NS,
        name,
        Owner(DEPLOYMENT, app),
        ("10.0.0.1",),
        {"app": app},
        ready=True,
        status="Running",
        meshed=True,
        started=NOW - 3600,
        service_account=app,
    )
    return replace(usual, **different)


def a_store(*pods: Pod, spec: PortSpec | None = None) -> MeshStore:
    """The pods with their workloads, behind `web-svc` those of web."""
    store = MeshStore()
    names = {found.owner.name for found in pods if found.owner}
    store.replace(
        {
            Workload: [Workload(DEPLOYMENT, NS, name, 1) for name in names],
            Pod: pods,
            Service: [Service(NS, "web-svc", (spec or PortSpec("", 80, 8080),), {"app": "web"})],
        }
    )
    return store


async def evidence_of(
    store: MeshStore, lines: Mapping[str, Lines], *, silent: Mapping[Key, str] | None = None
) -> Evidence:
    clock = ManualClock(epoch=NOW)
    reports = Reports(silent or {})
    metrics = metrics_of(NS, lines)
    sources = Sources(store.mesh, metrics=metrics, reports=reports, clock=clock)
    return await gather(sources, window_s=60)


def found(evidence: Evidence) -> list[Finding]:
    return ranked(found_in(evidence))


def arrived(labels: str = "", *, well: float = 0, failed: float = 0, ms: str = "2") -> Lines:
    """So many each second, in less than so many milliseconds."""
    base = 'direction="inbound",target_port="8080"'
    failure = labels or 'status_code="500"'

    def lines(second: int) -> Iterable[str]:
        if well:
            yield f'response_total{{{base},status_code="200",classification="success"}} {second * well}'
        if failed:
            yield f'response_total{{{base},{failure},classification="failure"}} {second * failed}'
        low = str(int(ms) // 2)
        yield from histogram(
            "response_latency_ms", base, second * (well + failed), bounds=(low, ms)
        )

    return lines


def called(outcome: str, *, rps: float, failure: bool = True, server: str = "") -> Lines:
    dst = f'dst_namespace="{NS}",dst_pod="{server}",dst_service="web-svc",' if server else ""
    word = "failure" if failure else "success"
    labels = f'direction="outbound",authority="{AUTHORITY}",{dst}{outcome},classification="{word}"'
    return lambda second: [f"response_total{{{labels}}} {second * rps}"]


def both(*parts: Lines) -> Lines:
    return lambda second: [line for part in parts for line in part(second)]


def one_of(findings: Sequence[Finding], kind: Weight) -> Finding:
    assert [finding.kind for finding in findings] == [kind], findings
    return findings[0]


async def test_a_healthy_mesh_gives_nothing() -> None:
    store = a_store(pod("web-0"), pod("web-1"), pod("client-0"))
    well = called('status_code="200"', rps=10, failure=False, server="web-0")
    lines = {"web-0": arrived(well=5), "web-1": arrived(well=5, ms="4"), "client-0": well}
    assert found(await evidence_of(store, lines)) == []


async def test_a_method_that_fails_is_named_with_its_status_and_replicas() -> None:
    def routes(second: int) -> Iterable[str]:
        dst = f'direction="inbound",dst="{AUTHORITY}"'
        for route, outcome, count in (
            (VOTE, 'classification="success",grpc_status="0"', 9),
            (DOUGHNUT, 'classification="failure",grpc_status="2"', 1),
        ):
            yield f'route_response_total{{{dst},rt_route="{route}",{outcome}}} {second * count}'

    one = both(arrived('status_code="200",grpc_status="2"', well=9, failed=1), routes)
    started = NOW - 65
    store = a_store(pod("web-0", started=started), pod("web-1", started=started))
    finding = one_of(found(await evidence_of(store, {"web-0": one, "web-1": one})), Weight.FAILS)
    assert finding.sentence == (
        "web: VoteDoughnut fails with UNKNOWN on both replicas since they started; its other routes are well"
    )
    assert finding.commands[0] == "routes deploy/web"


async def test_what_is_over_is_no_fault() -> None:
    def stopped(second: int) -> Iterable[str]:
        failed = 'direction="inbound",status_code="500",classification="failure"'
        yield f"response_total{{{failed}}} {min(second, 30) * 5}"

    lines = {"web-0": both(arrived(well=5), stopped)}
    assert found(await evidence_of(a_store(pod("web-0")), lines)) == []


async def test_one_bad_replica_of_five_alone_is_named() -> None:
    names = [f"web-{at}" for at in range(5)]
    lines = {name: arrived(well=5) for name in names} | {"web-3": arrived(failed=0.2)}
    store = a_store(*map(pod, names))
    finding = one_of(found(await evidence_of(store, lines)), Weight.ONE_POD)
    assert finding.sentence.startswith(
        "web: web-3 alone fails, 100% of its requests, with 500; the other 4 of 5 replicas are well"
    )


async def test_a_slow_replica_is_named_though_it_is_asked_rarely() -> None:
    names = ["web-0", "web-1", "web-2"]
    lines = {name: arrived(well=20) for name in names} | {"web-2": arrived(well=0.03, ms="500")}
    finding = one_of(found(await evidence_of(a_store(*map(pod, names)), lines)), Weight.SLOW)
    assert finding.sentence.startswith("web: web-2 is slow: half of its requests take 375ms")


async def test_certificates_that_have_ended() -> None:
    store = a_store(pod("web-0"), pod("web-1"))
    name = "control_identity_cert_expiration_timestamp_seconds"
    lines: dict[str, Lines] = {
        "web-0": lambda _second: [f"{name} {NOW - 60}"],
        "web-1": lambda _second: [f"{name} {NOW + 60}"],
    }
    evidence = await evidence_of(store, lines)
    leaf = one_of(found(evidence), Weight.EXPIRED)
    assert leaf.sentence.startswith("web: the certificate of web-0 has expired 60s ago")
    issuer = one_of(found(replace(evidence, trust_ends=NOW - 130)), Weight.EXPIRED)
    assert (issuer.namespace, issuer.resource) == ("", "mesh")
    assert "expired 2m ago: no proxy gets a new certificate, and those of 1 of 2" in issuer.sentence


@pytest.mark.parametrize("kind", ["http", "tcp"])
async def test_who_is_refused_and_by_what(kind: str) -> None:
    client = "client.shop.serviceaccount.identity.linkerd.cluster.local"
    labels = f'srv_kind="server",srv_name="web-http",target_port="8080",client_id="{client}"'
    refused: Lines = lambda second: [f"inbound_{kind}_authz_deny_total{{{labels}}} {second}"]  # noqa: E731
    store = a_store(pod("web-0"), pod("client-0"))
    # A proxy may count its refusals among the answers, too.
    answer = 'direction="inbound",target_port="8080",status_code="403",classification="success"'
    answers: Lines = lambda second: [f"response_total{{{answer}}} {second}"]  # noqa: E731
    lines = {"web-0": both(arrived(well=1), refused, answers)}
    finding = one_of(found(await evidence_of(store, lines)), Weight.DENIED)
    assert finding.sentence == (
        "web: the Server web-http refuses client.shop at port 8080: 50% of what arrives"
    )
    assert {owner.name for owner in finding.about} == {"client"}


async def test_a_protocol_that_is_guessed_in_vain() -> None:
    labels = f'parent_namespace="{NS}",parent_name="web-svc",parent_port="80",result="read_timeout"'
    name = "outbound_tcp_detect_http_results_total"
    lines: dict[str, Lines] = {
        "client-0": lambda second: [f"{name}{{{labels}}} {second}"],
    }
    store = a_store(pod("web-0"), pod("client-0"))
    finding = one_of(found(await evidence_of(store, lines)), Weight.OPAQUE)
    assert "its port 80 is not marked opaque, but its server speaks first" in finding.sentence


async def test_a_storm_by_what_a_client_sends_and_by_what_a_proxy_retries() -> None:
    store = a_store(pod("web-0"), pod("client-0"))
    calls = called('status_code="500"', rps=40, server="web-0")
    asked = both(arrived(well=2), calls)
    findings = found(await evidence_of(store, {"client-0": asked, "web-0": arrived(failed=40)}))
    assert [finding.kind for finding in findings] == [Weight.STORM, Weight.FAILS]
    assert (
        "client-0 calls web-svc 40 times a second, while it is asked 2.0 times"
        in findings[0].sentence
    )

    def retried(second: int) -> Iterable[str]:
        route = f'parent_namespace="{NS}",parent_name="web-svc"'
        yield f"outbound_http_route_request_statuses_total{{{route}}} {second}"
        yield f"outbound_http_route_retry_requests_total{{{route}}} {second * 3}"

    evidence = await evidence_of(
        store, {"client-0": both(retried, called('status_code="503"', rps=3))}
    )
    assert Weight.STORM in {finding.kind for finding in found(evidence)}


async def test_names_that_are_not_found_and_servers_that_do_not_answer() -> None:
    def asks(result: str) -> Lines:
        labels = f'client="outbound",record_type="A",result="{result}"'
        none = 'client="outbound",record_type="AAAA",result="not_found"'
        return lambda second: [
            f"control_dns_resolutions_total{{{labels}}} {second}",
            f"control_dns_resolutions_total{{{none}}} {second}",
        ]

    store = a_store(pod("web-0"))
    for result, words in (("not_found", "does not know the names"), ("error", "does not answer")):
        evidence = await evidence_of(store, {"web-0": asks(result)})
        assert f"DNS {words}" in one_of(found(evidence), Weight.NAMES).sentence
    # A name without an IPv6 address is none that fails.
    assert found(await evidence_of(store, {"web-0": asks("ok")})) == []


async def test_ports_that_nobody_listens_on() -> None:
    silent = pod("web-0", ready=False, problem="nothing answers on 10.0.0.1:8080")
    finding = one_of(found(await evidence_of(a_store(silent), {})), Weight.PORT)
    assert "web-svc: its port 80 leads to 8080, where no program listens" in finding.sentence

    declared = pod("web-0", ports=(ContainerPort(9090, "http"),))
    named = a_store(declared, spec=PortSpec("", 80, "htpp"))
    finding = one_of(found(await evidence_of(named, {})), Weight.PORT)
    assert "no pod of it has a port of the name 'htpp'" in finding.sentence

    # A number that nobody declares may be right: it counts where calls fail.
    store = a_store(declared, pod("client-0"))
    assert found(await evidence_of(store, {})) == []
    calls = called('status_code="502",error="connect"', rps=2, server="web-0")
    findings = found(await evidence_of(store, {"client-0": calls}))
    assert findings[0].kind is Weight.PORT
    assert "its pods declare 9090, and calls to it fail" in findings[0].sentence


async def test_a_program_that_ends_again_and_again() -> None:
    crashed = pod(
        "web-0",
        ready=False,
        status="Failed",
        restarts=5,
        last_exit="exited with status 1: out of ballots",
        last_exit_at=NOW - 3,
    )
    calls = called('status_code="504",error="failfast"', rps=2)
    store = a_store(crashed, pod("client-0"))
    finding = one_of(found(await evidence_of(store, {"client-0": calls})), Weight.CRASHES)
    assert finding.sentence == (
        "web: web-0 crashes again and again, 5 times so far, last 3s ago: exited with status 1: out of ballots; "
        "calls to it fail"
    )
    well_again = replace(crashed, ready=True, status="Running")
    assert found(await evidence_of(a_store(well_again), {})) == []


async def test_a_circuit_that_is_open_and_a_service_without_endpoints() -> None:
    calls = {"client-0": called('status_code="503",error="loadshed"', rps=2)}
    store = a_store(pod("web-0"), pod("client-0"))
    changes = RecentChanges(store, clock=ManualClock(epoch=NOW))
    changes.start()
    served = Endpoints(NS, "web-svc", 80, (Endpoint("10.0.0.1", 8080, pod=Key(NS, "web-0")),))
    store.put(served)
    finding = one_of(found(await evidence_of(store, calls)), Weight.UNREACHABLE)
    assert "the circuit is open: none of its 1 endpoints (10.0.0.1:8080) takes connections" in (
        finding.sentence
    )
    store.put(replace(served, endpoints=()))
    changes.stop()
    store.put(served)
    store.put(replace(served, endpoints=()))
    assert [(sorted(one.came), sorted(one.went)) for one in changes.kept] == [
        ([Key(NS, "web-0")], []),
        ([], [Key(NS, "web-0")]),
    ]
    evidence = replace(await evidence_of(store, calls), changes=changes.kept)
    finding = one_of(found(evidence), Weight.UNREACHABLE)
    assert "it has no endpoint that is ready since web-0 went" in finding.sentence
    nobody = one_of(found(await evidence_of(a_store(pod("client-0")), calls)), Weight.UNREACHABLE)
    assert "no pod has the labels that it selects" in nobody.sentence


async def test_a_clock_that_is_not_the_others() -> None:
    names = ["web-0", "web-1", "client-0"]
    off = {"web-1": 300.0}

    def told(name: str) -> Lines:
        return lambda second: [f"process_clock_time_seconds {NOW - 60 + second + off.get(name, 0)}"]

    store = a_store(pod("web-0"), pod("web-1", node="n2"), pod("client-0"))
    evidence = await evidence_of(store, {name: told(name) for name in names})
    finding = one_of(found(evidence), Weight.CLOCK)
    assert finding.sentence.startswith("web: the clock of web-1 (its node is n2) is 5m ahead of")


async def test_a_proxy_that_tells_nothing() -> None:
    key = Key(NS, "web-0")
    evidence = await evidence_of(a_store(pod("web-0")), {}, silent={key: "refused"})
    assert "the metrics of web-0's proxy cannot be read: refused" in (
        one_of(found(evidence), Weight.SILENT).sentence
    )


async def test_causes_come_before_what_is_seen_of_them() -> None:
    kinds = [Weight.FAILS, Weight.EXPIRED, Weight.SLOW, Weight.DENIED]
    findings = [Finding(kind, NS, "deploy/web", kind.name, (), impact=0.0) for kind in kinds]
    whole = Finding(Weight.SLOW, NS, "deploy/api", "whole", (), impact=5.0)
    ordered = ranked([*findings, whole, whole])
    assert [one.kind for one in ordered] == [
        *(Weight.EXPIRED, Weight.DENIED, Weight.FAILS, Weight.SLOW, Weight.SLOW)
    ]
    assert ordered[3] is whole


async def _asked(store: MeshStore, lines: Mapping[str, Lines], **params: str) -> list[str]:
    sources = Sources(
        store.mesh,
        metrics=metrics_of(NS, lines),
        reports=Reports({}),
        clock=ManualClock(epoch=NOW),
    )
    operation = hunt(sources)
    answer: Any = await operation.run(operation.declaration.read(QueryParams(params)))
    return [one["kind"] for one in answer["findings"]]


async def test_a_hunt_may_be_about_one_thing() -> None:
    store = a_store(pod("web-0"), pod("client-0"), pod("other-0"))
    calls = called('status_code="500"', rps=40, server="web-0")
    lines = {"client-0": calls, "web-0": arrived(failed=40), "other-0": arrived(failed=1)}
    assert await _asked(store, lines) == ["storm", "fails", "fails"]
    assert await _asked(store, lines, namespace="elsewhere") == []
    for kind, name in (("deploy", "other"), ("po", "other-0")):
        assert await _asked(store, lines, namespace=NS, type=kind, name=name) == ["fails"]
    for kind, name in (("deploy", "client"), ("svc", "web-svc")):
        assert await _asked(store, lines, namespace=NS, type=kind, name=name) == ["storm", "fails"]


@pytest.mark.parametrize(
    "params",
    [
        {"type": "deploy"},
        {"name": "web"},
        {"type": "ns", "name": NS, "namespace": NS},
        {"window": "1h"},
    ],
)
async def test_what_cannot_be_hunted_is_refused(params: dict[str, str]) -> None:
    with pytest.raises(InvalidQueryError):
        await _asked(a_store(), {}, **params)
