"""The fault that is planted in the sample, found in a browser by three clicks.

With `L5D_PICTURES=FOLDER` each step leaves a picture there: `python tools/pictures.py` makes those of the
README so.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.integration.local.mesh_cli import MeshCli
from tests.integration.web.conftest import PATIENCE_MS, WIDE, shown

pytestmark = [
    *(pytest.mark.slow, pytest.mark.release_only, pytest.mark.timeout(600)),
    pytest.mark.xdist_group("browser"),
]

expect.set_options(timeout=PATIENCE_MS)
METHOD = "VoteDoughnut"
PICTURES = os.environ.get("L5D_PICTURES")


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MeshCli]:
    """The sample, as `./mesh up` starts it."""
    cli = MeshCli(tmp_path_factory.mktemp("hunt"))
    try:
        cli.ok("local", "up", "--detach", "--wait", "240s", timeout_s=300)
        yield cli
    finally:
        cli.stop()


def _steady(page: Page) -> None:
    """Of pictures: wait until the window of the figures is full."""
    if PICTURES:
        voting = page.get_by_role("region", name="Workloads").locator("tr", has_text="voting")
        expect(voting.first).to_contain_text(re.compile(r"(^|[^\d.])[5-9]\.\d\d"), timeout=180_000)


def _picture(page: Page, name: str, *, height: int, top: Locator | None = None) -> None:
    if not PICTURES:
        return
    page.set_viewport_size({**WIDE, "height": height})
    if top:
        top.evaluate("it => it.parentElement.scrollIntoView()")
    # Nothing under the pointer is painted otherwise.
    page.mouse.move(0, 0)
    browser = page.context.new_cdp_session(page)
    # A quarter of what PNG takes; Playwright itself makes no WebP.
    words = {"format": "webp", "quality": 80}
    taken = browser.send("Page.captureScreenshot", words)["data"]
    Path(PICTURES, f"{name}.webp").write_bytes(base64.b64decode(taken))


def test_three_clicks_lead_from_the_overview_to_the_calls_that_fail(
    page: Page, mesh: MeshCli
) -> None:
    url = mesh.ok("dashboard", "--show", "url").strip()
    assert "#token=" in url
    page.goto(url)
    shown(page)
    findings = page.get_by_role("region", name="Needs a look")
    voting = findings.get_by_role("link", name="voting")
    expect(voting).to_be_visible()
    _steady(page)
    _picture(page, "dashboard-overview", height=660)

    voting.click()
    shown(page)
    routes = page.get_by_role("region", name="Routes").locator("tbody tr")
    # What fails most stands first, and nothing else fails.
    expect(routes.first).to_contain_text(METHOD)
    expect(routes.first).to_contain_text("0.00%")
    expect(page.locator("tr.bad", has_text="Vote")).to_have_count(1)
    if PICTURES:
        page.locator(".plot canvas").last.wait_for()
    _picture(page, "dashboard-voting", height=1340)

    routes.first.get_by_role("button", name=METHOD).click()
    page.get_by_role("button", name="One by one").click()
    live = page.locator("section").and_(page.get_by_role("region", name="Live calls"))
    calls = live.locator("tbody tr")
    expect(calls.first).to_contain_text("UNKNOWN")
    for text in calls.all_inner_texts():
        assert f"/emojivoto.v1.VotingService/{METHOD}" in text
    if PICTURES:
        expect(calls.nth(9)).to_be_visible()
    _picture(page, "dashboard-calls", height=660, top=live)


def test_charts_show_the_traffic_of_now(page: Page, mesh: MeshCli) -> None:
    page.goto(mesh.ok("dashboard", "--show", "url").strip())
    shown(page)
    page.get_by_role("region", name="Workloads").get_by_role("link", name="web").click()
    chart = page.get_by_role("img", name="Requests per second")
    expect(chart).not_to_have_attribute("aria-label", "Requests per second, now: requests 0.00")
    expect(chart.locator("canvas")).to_be_visible()


def test_a_stranger_on_this_machine_watches_no_calls(page: Page, mesh: MeshCli) -> None:
    url = mesh.ok("dashboard", "--show", "url").partition("#")[0]
    page.goto(f"{url}namespaces/emojivoto/deployments/voting#token=guessed")
    shown(page)
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("not allowed")
