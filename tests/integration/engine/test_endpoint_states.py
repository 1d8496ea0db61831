"""What the balancers of a proxy believe, as JSON in slices."""

from __future__ import annotations

import json

from linkerd2_py._ext.io.address import Address
from linkerd2_py._ext.route.endpoint_spec import EndpointSpec
from linkerd2_py.proxy.endpoint_states import endpoint_states
from tests.support.engine import engine

HOSTILE = 'a"\\\x1b[2J\n\u2028'


async def test_a_large_set_is_told_in_many_slices() -> None:
    async with engine() as made:
        target, _ = made.outbound(opaque=True)
        specs = [EndpointSpec(Address(f"127.1.0.{i}", 80), weight=i) for i in range(1, 101)]
        target.replace(specs)
        slices = list(endpoint_states(made.tables))
        (told,) = json.loads(b"".join(slices))["targets"]
        assert len(slices) > 6 and max(map(len, slices)) < 16 * 300
        assert [one["weight"] for one in told["endpoints"]] == [i / 10_000 for i in range(1, 101)]
        assert told["of"] == "workload" and told["waiting"] == 0


async def test_what_goes_while_it_is_told_is_left_out() -> None:
    async with engine() as made:
        target, _ = made.outbound(opaque=True)
        target.replace([EndpointSpec(Address(f"127.1.0.{i}", 80)) for i in range(1, 41)])
        told = endpoint_states(made.tables)
        begin = [next(told), next(told), next(told)]
        target.replace([])
        (found,) = json.loads(b"".join([*begin, *told]))["targets"]
        assert len(found["endpoints"]) == 16


async def test_names_of_anybody_stay_json() -> None:
    async with engine() as made:
        target, _ = made.outbound(opaque=True)
        labels = (("pod", HOSTILE), ("zone", HOSTILE))
        target.replace([EndpointSpec(Address("127.1.0.1", 80), labels=labels, near=True)])
        said = b"".join(endpoint_states(made.tables))
        (one,) = json.loads(said)["targets"][0]["endpoints"]
        assert (one["pod"], one["zone"], one["preferred"]) == (HOSTILE, HOSTILE, True)
        assert said.isascii()


async def test_one_place_without_a_choice_and_targets_of_routes() -> None:
    async with engine() as made:
        target, _ = made.outbound(opaque=True)
        target.forward(EndpointSpec(Address("127.1.0.1", 80)))
        way = target.sibling(b"way:80")
        way.configure(opaque=True)
        way.replace([EndpointSpec(Address("127.1.0.2", 80))])
        told = json.loads(b"".join(endpoint_states(made.tables)))["targets"]
        assert [one["of"] for one in told] == ["workload", "routes"]
        assert [len(one["endpoints"]) for one in told] == [1, 1]
        way.retire()
        assert len(json.loads(b"".join(endpoint_states(made.tables)))["targets"]) == 1
