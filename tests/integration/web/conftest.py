"""A browser, and the dashboard of a big mesh in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, ViewportSize, expect, sync_playwright

from tests.support.big_mesh import NAMESPACES, TOKEN, parts_of
from tools.web_bundle import WORK, is_current

ROOT: Final = Path(__file__).parents[3]
CHROMIUM: Final = "/usr/bin/chromium"
WORKLOADS: Final = 200
WIDE: Final[ViewportSize] = {"width": 1280, "height": 900}
NARROW: Final[ViewportSize] = {"width": 390, "height": 840}
PATIENCE_MS: Final = 45_000
"""For anything to appear: the machine may be busy."""

_FAILING: Final = next(part for part in parts_of(WORKLOADS) if part.failing > 0.1)
RESOURCE: Final = f"/namespaces/{_FAILING.namespace}/deployments/{_FAILING.name}"
VIEWS: Final = {
    "overview": "/",
    "namespace": f"/namespaces/{NAMESPACES[1]}",
    "resource": RESOURCE,
    "connections": "/edges",
    "policy": "/policy",
    "control plane": "/controlplane",
    "nothing": "/no/such/page",
}
"""Every view, by an address of it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium. Root has no sandbox of its own there. For as long as a browser can be driven from plain
    functions, no other event loop can run in their thread: it ends before tests of another file begin.
    """
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs {CHROMIUM}: apt-get install chromium")
    assert is_current(), "the page is older than its sources, or was not built: ./mesh build"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def big_mesh() -> Iterator[str]:
    """The URL of its dashboard."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.big_mesh", str(WORKLOADS)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        yield process.stdout.readline().strip()
        process.stdin.close()
        process.wait()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A new one, which must not have met an error at its end."""
    with browser.new_context(viewport=WIDE) as made:
        made.set_default_timeout(PATIENCE_MS)
        page = made.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if _is_problem(said) else None)
        yield page
        assert problems == []


def _is_problem(said: ConsoleMessage) -> bool:
    # Of answers that are errors the browser tells by itself.
    return said.type == "error" and not said.text.startswith("Failed to load resource")


def address(base: str, path: str) -> str:
    """With what lets it watch calls."""
    return f"{base}{path}#token={TOKEN}"


def shown(page: Page) -> None:
    """Wait until nothing on the page waits for its first answer."""
    page.locator("h1, main > .nothing").first.wait_for()
    # Not by a function: the page's policy runs none that comes as text.
    expect(page.locator(".loading")).to_have_count(0, timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def axe() -> str:
    """The program that judges accessibility, which came with the page's libraries."""
    path = WORK / "node_modules/axe-core/axe.min.js"
    if not path.exists():
        subprocess.run([sys.executable, "tools/web_bundle.py", "--types"], cwd=ROOT, check=True)
    return path.read_text(encoding="utf-8")
