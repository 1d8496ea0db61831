"""Meshes of proxies of two makes, each made for all tests of a module that use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path

import pytest

from tests.support.cluster import programs
from tests.support.grpc_poller import grpc_poller
from tests.support.interop.programs import Program, need
from tests.support.interop.proxies import Make
from tests.support.interop.shop import Shop, shop
from tests.support.privileges import need_root

__all__ = ["grpc_poller"]


@pytest.fixture(scope="session", autouse=True)
def _what_all_need() -> None:
    need_root()
    if not programs.built():
        pytest.skip("the cluster's programs are not built: ./mesh cluster build")


@pytest.fixture(
    scope="session",
    params=[
        pytest.param((make, mode), id=f"{make}-controllers-{mode}")
        for make, mode in product(Make, ("transparent", "transport-header"))
    ],
)
def mesh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """On a control plane of either make, whose pods have proxies of its make, in either mode of transport."""
    make, mode = request.param
    with mesh_of(make, tmp_path_factory.mktemp("mesh"), transport_mode=mode) as running:
        yield running


def mesh_of(make: Make, folder: Path, **flags: str) -> AbstractContextManager[Shop]:
    """A control plane of one make, but that ours answers policies where Linkerd's controller of them is not given."""
    if make is Make.OURS:
        return shop(folder, **flags)
    need(Program.CONTROLLER)
    policy = make if Program.POLICY_CONTROLLER.is_given else Make.OURS
    beside = make if Program.PROXY.is_given else Make.OURS
    return shop(folder, answers=make, beside=beside, policy=policy, **flags)
