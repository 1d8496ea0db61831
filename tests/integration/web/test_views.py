"""Every view of the dashboard, in a real Chromium, on a mesh of two hundred workloads."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.integration.web.conftest import (
    NARROW,
    PATIENCE_MS,
    RESOURCE,
    VIEWS,
    WIDE,
    WORKLOADS,
    address,
    shown,
)
from tests.support.big_mesh import HOSTILE

pytestmark = [
    *(pytest.mark.slow, pytest.mark.release_only, pytest.mark.timeout(600)),
    # One browser and one mesh are enough.
    pytest.mark.xdist_group("browser"),
]

expect.set_options(timeout=PATIENCE_MS)
# Tasks that hold up the page, and moves of what is under the pointer, from the first look on.
OBSERVE = """() => {
  window.seen = {long: [], shift: 0, nodes: new WeakSet(document.querySelectorAll('tr')), made: 0};
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) seen.long.push(one.duration);
  }).observe({type: 'longtask'});
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) if (!one.hadRecentInput) seen.shift += one.value;
  }).observe({type: 'layout-shift'});
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes)
      if (node.nodeName === 'TR') seen.made += 1;
  }).observe(document.querySelector('main'), {childList: true, subtree: true});
}"""
AXE = "async () => (await axe.run()).violations.filter((one) => ['serious', 'critical'].includes(one.impact))"


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_for_everybody(browser: Browser, big_mesh: str, axe: str, view: str) -> None:
    """In both themes, on narrow screens, and with the command of the same answer."""
    # The page's own policy would not let a stranger's program run.
    with browser.new_context(viewport=WIDE, color_scheme="light", bypass_csp=True) as made:
        made.set_default_timeout(PATIENCE_MS)
        page = made.new_page()
        page.goto(address(big_mesh, VIEWS[view]))
        shown(page)
        page.evaluate(axe)
        found = page.evaluate(AXE)
        page.keyboard.press("t")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        found += page.evaluate(AXE)
        page.set_viewport_size(NARROW)
        width = page.evaluate("document.documentElement.scrollWidth")
        if view != "nothing":
            expect(page.locator(".command code").first).to_contain_text("linkerd2-py ")
    told = [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found]
    assert told == []
    assert width <= NARROW["width"], "it scrolls sideways"


def test_two_hundred_workloads_are_updated_without_flicker(page: Page, big_mesh: str) -> None:
    page.goto(address(big_mesh, "/"))
    shown(page)
    rows = page.get_by_role("region", name="Workloads").locator("tbody tr")
    expect(rows).to_have_count(WORKLOADS)
    figure = page.locator(".tile dd").nth(1)

    def updated() -> None:
        before = figure.inner_text()
        expect(figure).not_to_have_text(before)

    # What comes with the first answers may take its place.
    updated()
    page.evaluate(OBSERVE)
    for _ in range(3):
        updated()
    seen = page.evaluate("({made: seen.made, shift: seen.shift, long: seen.long})")
    assert seen["made"] == 0, "rows were made anew"
    assert seen["shift"] < 0.02
    print("long tasks of three updates, in ms:", seen["long"])


def test_what_is_named_by_somebody_hostile_is_text(page: Page, big_mesh: str) -> None:
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.goto(address(big_mesh, "/"))
    shown(page)
    link = page.get_by_role("region", name="Workloads").get_by_role("link", name=HOSTILE)
    expect(link).to_have_count(1)
    link.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE)
    page.goto(address(big_mesh, RESOURCE))
    shown(page)
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_role("cell", name=f"/{HOSTILE}").first).to_be_visible()
    assert asked == []
    assert page.evaluate("document.querySelectorAll('main img').length") == 0


def test_live_calls_are_summed_up_and_told_one_by_one(page: Page, big_mesh: str) -> None:
    page.goto(address(big_mesh, RESOURCE))
    shown(page)
    assert "token" not in page.url
    page.get_by_role("button", name="Watch", exact=True).click()
    sums = page.get_by_role("region", name="Live calls, summed up").locator("tbody tr")
    # What fails stands first.
    expect(sums.first).to_contain_text("/shop.Cart/Remove")
    expect(sums.first).to_contain_text("0.00%")
    page.get_by_role("button", name="One by one").click()
    calls = page.get_by_role("region", name="Live calls", exact=True).locator("tbody")
    expect(calls).to_contain_text("INTERNAL")
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("button", name="Watch", exact=True)).to_be_visible()


def test_without_a_token_it_is_said_how_calls_are_watched(page: Page, big_mesh: str) -> None:
    page.goto(f"{big_mesh}{RESOURCE}")
    shown(page)
    page.get_by_role("button", name="Watch", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("linkerd2-py dashboard")


@pytest.mark.parametrize("watches", [True, False])
def test_in_a_cluster_the_command_is_named_where_the_page_may_not(
    page: Page, big_mesh: str, watches: bool
) -> None:
    def told(route: Route) -> None:
        facts = route.fetch().json()
        route.fulfill(json={**facts, "source": "kubernetes", "tap": watches})

    page.route("**/api/page", told)
    page.goto(f"{big_mesh}{RESOURCE}")
    shown(page)
    live = page.get_by_role("region", name="Live calls", exact=True)
    if watches:
        page.get_by_role("button", name="Watch", exact=True).click()
        live = live.get_by_role("alert")
        expect(live).to_contain_text("not allowed to watch calls")
    else:
        expect(live).to_contain_text("This dashboard may not watch calls.")
    name = RESOURCE.rpartition("/")[2]
    command = f"linkerd2-py tap deploy/{name} -n "
    expect(live.locator("code", has_text=command).first).to_be_visible()


def test_something_is_found_and_opened_with_the_keyboard_alone(page: Page, big_mesh: str) -> None:
    page.goto(address(big_mesh, "/"))
    shown(page)
    page.keyboard.press("/")
    page.keyboard.type(RESOURCE.rpartition("/")[2])
    expect(page.get_by_role("option").first).to_contain_text(RESOURCE.rpartition("/")[2])
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{RESOURCE}")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url("**/controlplane")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("o")
    shown(page)
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/namespaces/**")


def test_a_control_plane_that_is_away_is_said_to_be_and_old_figures_stay(
    page: Page, big_mesh: str
) -> None:
    page.goto(address(big_mesh, "/"))
    shown(page)
    page.route(
        "**/api/v1/**", lambda route: route.fulfill(status=502, json={"error": "it is away"})
    )
    expect(page.get_by_role("alert")).to_contain_text("it is away")
    expect(page.get_by_role("alert")).to_contain_text("linkerd2-py check")
    expect(page.get_by_role("region", name="Workloads").locator("tbody tr")).to_have_count(
        WORKLOADS
    )
    page.unroute("**/api/v1/**")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_thing_that_is_not_there_is_said_to_be_gone(page: Page, big_mesh: str) -> None:
    page.goto(address(big_mesh, "/namespaces/web/deployments/gone"))
    expect(page.locator(".nothing")).to_contain_text("There is no deployment gone in web.")
