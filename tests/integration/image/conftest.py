"""Both images, built once for all tests here, and their roots laid down."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.images import CONTROLLER, PROXY, Container, build
from tests.support.oci_archive import OciArchive
from tests.support.privileges import need_root


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("image") / "out"


@pytest.fixture(scope="session")
def images(out: Path) -> dict[str, OciArchive]:
    """By name."""
    return build(out)


def _container(image: OciArchive, folder: Path) -> Iterator[Container]:
    need_root()
    yield Container(image.unpack(folder))
    subprocess.run(["rm", "-rf", "--one-file-system", folder], check=True)


@pytest.fixture(scope="session")
def proxy(
    images: dict[str, OciArchive], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    yield from _container(images[PROXY], tmp_path_factory.mktemp("proxy"))


@pytest.fixture(scope="session")
def controller(
    images: dict[str, OciArchive], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    yield from _container(images[CONTROLLER], tmp_path_factory.mktemp("controller"))
