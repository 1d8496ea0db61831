"""Which slices are written for external workloads, and what becomes of those that are there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py.controlplane.external_workloads.edits import Edits, edits_of
from linkerd2_py.controlplane.external_workloads.objects import changed_object, new_object
from linkerd2_py.controlplane.external_workloads.wanted import wanted_of
from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.mesh.objects import (
    ContainerPort,
    ExternalWorkload,
    Key,
    PortSpec,
    Service,
)
from linkerd2_py.controlplane.mesh.slices import SliceEnd, SlicePort, WorkloadSlice
from linkerd2_py.controlplane.sources.kubernetes.workload_slices import read_workload_slice

WEB = Service(
    "shop",
    "web",
    (PortSpec("http", 80, "http"),),
    selector={"app": "web"},
    uid="uid-of-web",
    families=(4,),
    labels={"team": "shop", "kubernetes.io/service-name": "another"},
)
VM = ExternalWorkload(
    "shop",
    "vm",
    ips=("192.0.2.1",),
    ports=(ContainerPort(8080, "http"),),
    labels={"app": "web", "topology.kubernetes.io/zone": "zone-a"},
    ready=True,
    uid="uid-of-vm",
)
LABELS = {
    "team": "shop",
    "kubernetes.io/service-name": "web",
    "endpointslice.kubernetes.io/managed-by": "linkerd-external-workloads-controller",
}


def workload(number: int, *, port: int = 8080) -> ExternalWorkload:
    return replace(
        VM,
        name=f"vm-{number}",
        uid=f"uid-{number}",
        ips=(f"192.0.2.{number}",),
        ports=(ContainerPort(port, "http"),),
    )


def edits(
    *workloads: ExternalWorkload,
    held: Sequence[WorkloadSlice] = (),
    of: Service = WEB,
    limit: int = 100,
) -> Edits:
    return edits_of(of, wanted=wanted_of(of, workloads=workloads), held=held, limit=limit)


def done(held: Sequence[WorkloadSlice], made: Edits) -> list[WorkloadSlice]:
    """What is there once they are made."""
    gone = {one.name for one in (*made.delete, *made.change)}
    return [*(one for one in held if one.name not in gone), *made.change, *made.create]


def names(slices: Iterable[WorkloadSlice]) -> list[list[str]]:
    return sorted([end.workload.name for end in one.ends] for one in slices)


def test_a_workload_comes_into_a_new_slice_of_the_service() -> None:
    made = edits(VM)
    (one,) = made.create
    assert (made.change, made.delete) == ((), ())
    assert one.name.startswith("linkerd-external-web-")
    assert one.labels == LABELS
    assert one.ports == (SlicePort("http", 8080),)
    assert one.ends == (SliceEnd(VM.key, "uid-of-vm", ("192.0.2.1",), True, "zone-a"),)
    assert not edits(VM, held=[one])


def test_a_slice_reads_as_it_was_written() -> None:
    (one,) = edits(VM, workload(2)).create
    written: Json = new_object(one)
    written["metadata"]["resourceVersion"] = "7"
    assert read_workload_slice(written) == replace(one, version="7")
    assert written["endpoints"][0] == {
        "addresses": ["192.0.2.1"],
        "conditions": {"ready": True, "serving": True, "terminating": False},
        "targetRef": {
            "kind": "ExternalWorkload",
            "namespace": "shop",
            "name": "vm",
            "uid": "uid-of-vm",
        },
        "zone": "zone-a",
    }
    (owner,) = written["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Service", "web", "uid-of-web")
    assert changed_object(replace(one, version="7"))["metadata"]["resourceVersion"] == "7"
    written["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] = "somebody"
    assert read_workload_slice(written) is None


def test_a_workload_that_is_not_ready_stays_in_its_slice() -> None:
    held = edits(VM, workload(2)).create
    made = edits(replace(VM, ready=False), workload(2), held=held)
    (one,) = made.change
    assert (made.create, made.delete) == ((), ())
    assert [end.ready for end in one.ends] == [False, True]
    assert one.name == held[0].name


def test_ports_are_found_by_name_number_and_protocol() -> None:
    dns = PortSpec("dns", 53, "dns", protocol="UDP")
    of = replace(
        WEB, ports=(PortSpec("http", 80, 8080), PortSpec("more", 81, 9)), other_ports=(dns,)
    )
    tcp_only = replace(VM, ports=(ContainerPort(8080), ContainerPort(5353, "dns")))
    both = replace(VM, ports=(ContainerPort(8080), ContainerPort(5353, "dns", protocol="UDP")))
    http = SlicePort("http", 8080)
    assert [one.ports for one in edits(tcp_only, of=of).create] == [(http,)]
    assert [one.ports for one in edits(both, of=of).create] == [
        (SlicePort("dns", 5353, "UDP"), http)
    ]


def test_who_serves_under_another_port_has_another_slice() -> None:
    made = edits(workload(1), workload(2, port=9090), workload(3))
    assert names(made.create) == [["vm-1", "vm-3"], ["vm-2"]]
    assert len({one.name for one in made.create}) == 2


@pytest.mark.parametrize(
    ("families", "found"),
    [
        ((4,), {4: ["192.0.2.1"]}),
        ((6,), {6: ["2001:db8::1"]}),
        ((4, 6), {4: ["192.0.2.1"], 6: ["2001:db8::1"]}),
        # Headless, perhaps.
        ((), {4: ["192.0.2.1"], 6: ["2001:db8::1"]}),
    ],
)
def test_each_family_of_the_service_has_slices(families: tuple[int, ...], found: object) -> None:
    dual = replace(VM, ips=("192.0.2.1", "2001:db8::1", "127.0.0.1", "::1", "fe80::1"))
    made = edits(dual, of=replace(WEB, families=families))
    assert {one.family: list(one.ends[0].ips) for one in made.create} == found


def test_a_family_that_the_service_has_no_more_goes() -> None:
    dual = replace(VM, ips=("192.0.2.1", "2001:db8::1"))
    held = edits(dual, of=replace(WEB, families=(4, 6))).create
    made = edits(dual, held=held)
    assert [one.family for one in made.delete] == [6]
    assert (made.create, made.change) == ((), ())


def test_workloads_have_names_below_a_headless_service() -> None:
    of = replace(WEB, headless=True)
    (one,) = edits(VM, replace(VM, name="no.label"), of=of).create
    assert [end.hostname for end in one.ends] == ["", "vm"]
    assert one.labels["service.kubernetes.io/headless"] == ""


def test_a_slice_takes_no_more_than_its_limit() -> None:
    made = edits(*map(workload, range(1, 6)), limit=2)
    assert sorted(len(one.ends) for one in made.create) == [1, 2, 2]
    held = [replace(one, version="1") for one in made.create]
    more = edits(*map(workload, range(1, 7)), held=held, limit=2)
    assert (more.create, more.delete) == ((), ())
    assert [len(one.ends) for one in more.change] == [2]


def test_who_is_new_goes_where_something_is_written_anyway() -> None:
    held = edits(*map(workload, range(1, 5)), limit=2).create
    gone, *rest = [end.workload for one in held for end in one.ends]
    left = [one for one in map(workload, range(1, 5)) if one.key != gone]
    made = edits(*left, workload(9), held=held, limit=3)
    assert len(rest) == 3
    assert (made.create, made.delete) == ((), ())
    assert [end.workload.name for end in made.change[0].ends] == ["vm-2", "vm-9"]


def test_a_slice_that_nobody_is_left_in_goes_or_is_written_anew() -> None:
    held = edits(VM).create
    assert edits(held=held) == Edits(delete=held)
    made = edits(replace(VM, ports=(ContainerPort(9090, "http"),)), held=held)
    assert (made.create, made.delete) == ((), ())
    assert [(one.name, one.ports[0].number) for one in made.change] == [(held[0].name, 9090)]


def test_slices_of_a_service_that_had_the_name_before_go() -> None:
    old = edits(VM, of=replace(WEB, uid="before")).create
    made = edits(VM, held=old)
    assert made.delete == old
    assert [one.owner for one in made.create] == ["uid-of-web"]
    assert {one.name for one in made.create}.isdisjoint(one.name for one in old)


@pytest.mark.parametrize("of", [replace(WEB, selector={}), replace(WEB, alias=True)])
def test_who_selects_nobody_has_no_slices(of: Service) -> None:
    held = edits(VM).create
    assert edits(VM, of=of) == Edits()
    assert edits(VM, of=of, held=held) == Edits(delete=held)


def test_labels_follow_the_service_and_those_of_others_stay() -> None:
    (one,) = edits(VM).create
    held = replace(one, labels={**one.labels, "theirs": "1"})
    assert not edits(VM, held=[held])
    (changed,) = edits(VM, held=[held], of=replace(WEB, labels={"team": "other"})).change
    assert changed.labels == {**LABELS, "team": "other", "theirs": "1"}


_some = st.sets(st.integers(1, 9)).map(sorted)


@given(steps=st.lists(st.tuples(_some, _some), max_size=6), limit=st.integers(1, 4))
def test_after_any_steps_everybody_is_in_one_slice(
    steps: list[tuple[list[int], list[int]]], limit: int
) -> None:
    held: list[WorkloadSlice] = []
    for at_one, at_another in steps:
        there = [workload(n) for n in at_one]
        there += [workload(n, port=9090) for n in at_another if n not in at_one]
        held = done(held, edits(*there, held=held, limit=limit))
        assert not edits(*there, held=held, limit=limit)
        found = sorted(end.workload for one in held for end in one.ends)
        assert found == sorted(one.key for one in there)
        assert all(0 < len(one.ends) <= limit for one in held)
        assert len({one.name for one in held}) == len(held)
        ports = {end.workload: one.ports[0].number for one in held for end in one.ends}
        assert ports == {Key("shop", one.name): one.ports[0].number for one in there}
