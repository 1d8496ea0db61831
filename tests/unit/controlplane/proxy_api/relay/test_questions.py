"""What of a request makes it another question."""

from __future__ import annotations

import pytest

from linkerd2_py.controlplane.policy.workload import parse_workload
from linkerd2_py.controlplane.proxy_api.relay.questions import DESTINATION, OUTBOUND, STANDING
from linkerd2_py.proto.gen import destination_pb2 as messages
from linkerd2_py.proto.gen import outbound_pb2 as outbound

WATCH = f"/{OUTBOUND}/Watch"
GET, GET_PROFILE = f"/{DESTINATION}/Get", f"/{DESTINATION}/GetProfile"
SAID = '{"ns":"shop","nodeName":"node-a","pod":"web-1"}'


def reduced(method: str, token: str, *, path: str = "web.shop:80") -> messages.GetDestination:
    request = messages.GetDestination(scheme="k8s", path=path, context_token=token)
    return messages.GetDestination.FromString(STANDING[method].reduce(request.SerializeToString()))


@pytest.mark.parametrize(
    ("method", "token", "left"),
    [
        (GET, SAID, '{"nodeName": "node-a"}'),
        (GET_PROFILE, SAID, '{"ns": "shop"}'),
        (GET_PROFILE, "ns:shop", '{"ns": "shop"}'),
        (GET, "ns:shop", ""),
        (GET, "", ""),
        (GET, "no json", ""),
        (GET, "[" * 100_000, ""),
        (GET, '["nodeName"]', ""),
        (GET_PROFILE, '{"ns": 3}', ""),
    ],
)
def test_only_what_matters_of_who_asks_is_left(method: str, token: str, left: str) -> None:
    assert reduced(method, token) == messages.GetDestination(path="web.shop:80", context_token=left)


@pytest.mark.parametrize("prefers", [False, True])
def test_whether_what_is_near_is_preferred_matters(prefers: bool) -> None:
    request = messages.GetDestination(path="web.shop:80", prefers_near=prefers)
    left = messages.GetDestination.FromString(STANDING[GET].reduce(request.SerializeToString()))
    assert left.prefers_near is prefers


def outbound_reduced(workload: str) -> str:
    spec = outbound.TrafficSpec(source_workload=workload, authority="web.shop:80")
    left = outbound.TrafficSpec.FromString(STANDING[WATCH].reduce(spec.SerializeToString()))
    assert left.authority == "web.shop:80"
    return left.source_workload


def test_outbound_policies_are_a_namespaces() -> None:
    assert outbound_reduced('{"ns":"shop","pod":"web-1"}') == '{"ns": "shop", "pod": "-"}'
    assert parse_workload(outbound_reduced('{"ns":"shop","pod":"x"}')).namespace == "shop"
    # An external workload, too, is asked for in the name of its namespace.
    assert (
        outbound_reduced('{"ns":"shop","external_workload":"vm"}') == '{"ns": "shop", "pod": "-"}'
    )


@pytest.mark.parametrize("rewrites", [False, True])
def test_what_the_asking_proxy_can_do_matters(rewrites: bool) -> None:
    spec = outbound.TrafficSpec(source_workload='{"ns":"shop","pod":"x"}', rewrites=rewrites)
    left = outbound.TrafficSpec.FromString(STANDING[WATCH].reduce(spec.SerializeToString()))
    assert left.rewrites is rewrites


@pytest.mark.parametrize("workload", ["", "x", "{}", "shop:web-1"])
def test_a_workload_of_another_form_stays_as_it_is(workload: str) -> None:
    assert outbound_reduced(workload) == workload


def test_bytes_that_are_no_request_are_for_whoever_answers() -> None:
    assert STANDING[GET].reduce(b"\xff") == b"\xff"
    assert STANDING[WATCH].reduce(b"\xff") == b"\xff"
