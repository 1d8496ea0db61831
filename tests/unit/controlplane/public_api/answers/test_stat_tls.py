"""The share of requests that came over mutual TLS, from the labels that proxies give them."""

from collections.abc import Mapping

import pytest
from starlette.datastructures import QueryParams

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, Key, PortSpec, Workload
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore
from linkerd2_py.controlplane.metrics.embedded.store import EmbeddedStore
from linkerd2_py.controlplane.public_api.answers.stat import answer_of
from linkerd2_py.controlplane.public_api.answers.stat_query import StatAsked, StatQuery
from linkerd2_py.controlplane.public_api.operation import Declaration
from linkerd2_py.controlplane.sources.local.mesh_spec import ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh

NS = "emojivoto"
CHAT_IN = 'direction="inbound",target_addr="127.0.1.4:40004"'
CHAT_OUT = f'direction="outbound",authority="chat-svc.{NS}.svc.cluster.local:80",dst_namespace="{NS}",dst_service="chat-svc",dst_deployment="chat",dst_pod="chat-0"'  # fmt: skip
# Requests a second, by how proxies label them.
ARRIVING = {
    f'{CHAT_IN},tls="true",client_id="web.{NS}",classification="success"': 4,
    f'{CHAT_IN},tls="true",client_id="bot.{NS}",classification="failure"': 2,
    f'{CHAT_IN},tls="no_identity",no_tls_reason="no_tls_from_remote",classification="success"': 1,
    f'{CHAT_IN},tls="no_identity",no_tls_reason="loopback",classification="failure"': 1,
}
LEAVING = {
    f'{CHAT_OUT},tls="true",server_id="chat.{NS}",classification="success"': 9,
    f'{CHAT_OUT},tls="no_identity",no_tls_reason="not_provided_by_service_discovery",classification="success"': 1,
}


async def tls_of(metrics: Mapping[str, Mapping[str, int]], **query: str) -> dict[str, float | None]:
    """By name of the row; None for a row without requests."""
    store, local_mesh = SampleStore(), LocalMesh()
    for workload, rates in metrics.items():
        labels = {"namespace": NS, "deployment": workload, "pod": f"{workload}-0"}
        for second in range(61):
            lines = [f"response_total{{{head}}} {second * rate}" for head, rate in rates.items()]
            pod, text = Key(NS, labels["pod"]), "\n".join(lines) + "\n"
            store.append(pod, labels=labels, text=text, at_ms=second * 1000)
    local_mesh.apply(
        services=[ServiceSpec(NS, "chat-svc", "chat", (PortSpec("", 80, 80),))],
        deployments=[Workload(DEPLOYMENT, NS, name, 1) for name in ("web", "chat")],
        pods=[Replica(NS, f"{name}-0", name, "127.0.1.1") for name in ("web", "chat")],
    )
    asked = Declaration(StatAsked).read(QueryParams({"namespace": NS, **query}))
    clock = ManualClock()
    clock.advance(60)
    found = await answer_of(
        StatQuery.of(asked, longest_window_s=600),
        metrics=EmbeddedStore(store, clock=clock),
        mesh=local_mesh.mesh,
    )
    rows = found["tables"][0]["rows"]
    return {row["name"]: row["stats"] and row["stats"]["tls_percent"] for row in rows}


async def test_share_is_of_all_that_arrived_whatever_became_of_it() -> None:
    found = await tls_of({"chat": ARRIVING}, type="deploy")
    assert found == {"chat": pytest.approx(75), "web": None}


async def test_what_a_proxy_sends_does_not_count_as_arrived() -> None:
    found = await tls_of({"chat": ARRIVING, "web": LEAVING}, type="deploy")
    assert found == {"chat": pytest.approx(75), "web": None}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"type": "deploy", "to_type": "deploy", "to_name": "chat"}, "web"),
        ({"type": "deploy", "from_type": "deploy", "from_name": "web"}, "chat"),
        ({"type": "po", "from_type": "deploy", "from_name": "web"}, "chat-0"),
        ({"type": "svc"}, "chat-svc"),
        (
            {"type": "au", "from_type": "deploy", "from_name": "web"},
            f"chat-svc.{NS}.svc.cluster.local:80",
        ),
    ],
)
async def test_share_of_traffic_between_two_is_what_the_client_saw(
    query: dict[str, str], name: str
) -> None:
    assert await tls_of({"chat": ARRIVING, "web": LEAVING}, **query) == {name: pytest.approx(90)}


@pytest.mark.parametrize(("labels", "share"), [('tls="true"', 100), ('tls="disabled"', 0)])
async def test_all_or_nothing(labels: str, share: int) -> None:
    metrics = {"chat": {f'{CHAT_IN},{labels},classification="success"': 2}}
    assert await tls_of(metrics, type="po", name="chat-0") == {"chat-0": pytest.approx(share)}
