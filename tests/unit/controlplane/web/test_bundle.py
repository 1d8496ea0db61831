"""The page as it is built: small, whole, and without anything from elsewhere."""

import gzip
import re

import pytest

from linkerd2_py.controlplane.web.bundle import FOLDER
from tools.web_bundle import is_current

pytestmark = pytest.mark.release_only

MOST_BYTES = 200_000


@pytest.fixture(autouse=True)
def _built() -> None:
    assert is_current(), "the page is older than its sources, or was not built: ./mesh build"


def test_all_of_it_is_small() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert files
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) <= MOST_BYTES


def test_it_needs_nothing_inline_and_nothing_from_elsewhere() -> None:
    page = (FOLDER / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=", page)
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    assert all(one.startswith("/assets/") for one in addresses)
    for path in FOLDER.rglob("*.css"):
        assert "url(http" not in path.read_text()
