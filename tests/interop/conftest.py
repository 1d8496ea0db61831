"""Meshes of proxies of two makes, each made for all tests of a module that use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import programs
from tests.support.grpc_poller import grpc_poller
from tests.support.interop.control_planes import TRANSPORT_MODES
from tests.support.interop.shop import Shop, shop
from tests.support.privileges import need_root

__all__ = ["grpc_poller"]


@pytest.fixture(scope="session", autouse=True)
def _what_all_need() -> None:
    need_root()
    if not programs.built():
        pytest.skip("the cluster's programs are not built: ./mesh cluster build")


@pytest.fixture(scope="session", params=TRANSPORT_MODES)
def mesh(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """On our control plane, in either mode of transport."""
    with shop(tmp_path_factory.mktemp("mesh"), transport_mode=request.param) as running:
        yield running
