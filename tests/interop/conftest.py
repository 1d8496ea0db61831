"""Meshes of proxies of two makes, each made for all tests of a module that use it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest

from tests.support.cluster import programs
from tests.support.grpc_poller import grpc_poller
from tests.support.interop.proxies import Make
from tests.support.interop.shop import Shop, mesh_of
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
