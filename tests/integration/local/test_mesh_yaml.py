"""The whole file of docs/mesh-yaml.md, run as that page says: requests follow its routes, its policy says who
may call, and edits are followed while requests pass; on loopback addresses and in network namespaces alike.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.integration.local.mesh_cli import MODES, MeshCli, mesh_up, replace
from tests.integration.local.transparent_mesh import inside
from tests.support.wait import eventually, patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PAGE = Path(__file__).parents[3] / "docs" / "mesh-yaml.md"
SPLIT = "split: {front: 90, front-next: 10}"
FLIPS = 6
TRAFFIC_S = 60.0


def whole_file() -> str:
    """The first block of YAML of the page."""
    found = re.search(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module", params=MODES)
def cli(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MeshCli]:
    with mesh_up(
        tmp_path_factory.mktemp(request.param), {"mesh.yaml": whole_file()}, mode=request.param
    ) as made:
        yield made


@contextlib.contextmanager
def person(cli: MeshCli, service: str) -> Iterator[httpx2.Client]:
    """Somebody who comes in by a door."""
    link = cli.state()["links"][service]
    with httpx2.Client(base_url=link, trust_env=False, timeout=10 * patience()) as client:
        yield client


def asked_by(cli: MeshCli, pod: str, service: str, *, path: str = "/") -> list[str]:
    """The statuses that a program of a pod gets, found as it finds them."""
    words = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code} ", "-m", "10")
    if cli.state()["network"]:
        return inside(cli, pod, *words, f"http://{service}{path}").split()
    url = f"http://{_address(cli, pod, service)}{path}"
    return subprocess.run([*words, url], capture_output=True, text=True, check=True).stdout.split()


def _address(cli: MeshCli, pod: str, service: str) -> str:
    """What its program is told of a service, where nothing is intercepted."""
    variable = f"{service.upper()}_ADDR"
    for process in cli.family():
        with contextlib.suppress(psutil.Error):
            env = process.environ()
            if env.get("POD_NAME") == pod and variable in env:
                return env[variable]
    raise AssertionError(f"{pod} does not run")


def edit(cli: MeshCli, old: str, new: str) -> None:
    path = cli.root / "mesh.yaml"
    text = path.read_text()
    assert text.count(old) == 1
    replace(path, text.replace(old, new))


def test_requests_follow_the_routes(cli: MeshCli) -> None:
    with person(cli, "front") as client:
        testers = Counter(client.get("/", headers={"x-tester": "yes"}).text for _ in range(10))
        assert testers == {"next\n": 10}
        assert client.get("/static/logo").text == "front\n"
        gone = client.get("/old")
        assert (gone.status_code, gone.headers["l5d-proxy-error"]) == (410, "a route makes it fail")
        seen: Counter[str] = Counter()

        def both() -> bool:
            seen[client.get("/").text] += 1
            return len(seen) == 2 and sum(seen.values()) >= 50

        eventually(both, deadline_s=TRAFFIC_S, what=f"both versions, not {seen}")
        assert seen["front\n"] > seen["next\n"] > 0


def test_policy_says_who_may_call(cli: MeshCli) -> None:
    with person(cli, "basket") as client:
        assert client.get("/").status_code == 403
    assert asked_by(cli, "visitor-0", "basket") == ["403"]
    for pod in ("front-0", "front-next-0"):
        assert asked_by(cli, pod, "basket") == ["200"]
    lines = cli.ok("authz", "deploy/basket").split("\n")
    assert [line.split() for line in lines[1:3]] == [
        ["*", "basket", "basket-front"],
        ["*", "basket", "basket-front-next"],
    ]


def test_commands_show_them(cli: MeshCli) -> None:
    told = cli.ok("diagnostics", "policy", "svc/front", "80")
    assert all(f"name: {name}\n" in told for name in ("front-1", "front-2", "gone", "front-split"))
    told = cli.ok("diagnostics", "policy", "po/basket-0", "8080")
    assert "name: basket-front\n" in told

    def shown() -> bool:
        assert set(asked_by(cli, "visitor-0", "front", path="/?[1-40]")) == {"200"}
        rows = cli.json("stat-outbound", "deploy/visitor")
        return {one["backend"] for one in rows if one["route"] == "front-split"} == {
            "",  # the route itself
            "front",
            "front-next",
        }

    eventually(shown, deadline_s=TRAFFIC_S, what="the split among what was called")


class Caller(threading.Thread):
    """Asks the front on and on, and keeps what is wrong."""

    def __init__(self, cli: MeshCli) -> None:
        super().__init__()
        self._cli = cli
        self._ended = threading.Event()
        self.wrong: list[str] = []
        self.asked = 0
        self.last = ""
        self.streak = 0
        """How many responses in a row were like the last one."""

    def run(self) -> None:
        with person(self._cli, "front") as client:
            while not self._ended.is_set():
                found = client.get("/")
                self.asked += 1
                self.streak = self.streak + 1 if found.text == self.last else 1
                self.last = found.text
                if found.status_code != 200 or found.text not in {"front\n", "next\n"}:
                    self.wrong.append(f"{found.status_code} {found.text[:80]}")

    def end(self) -> None:
        self._ended.set()
        self.join()


def test_edits_are_followed_while_requests_pass(cli: MeshCli) -> None:
    callers = [Caller(cli) for _ in range(2)]
    for one in callers:
        one.start()
    said = SPLIT
    try:
        for number in range(FLIPS):
            # The first of them is the one that few had before.
            version, weights = (("next", (0, 1)), ("front", (1, 0)))[number % 2]
            flipped = f"split: {{front: {weights[0]}, front-next: {weights[1]}}}"
            edit(cli, said, flipped)
            said = flipped
            eventually(
                lambda version=version: all(
                    one.last == f"{version}\n" and one.streak >= 20 for one in callers
                ),
                deadline_s=TRAFFIC_S,
                what=f"{version} alone",
            )
            # Nobody goes where the file says no more.
            with person(cli, "front") as client:
                assert {client.get("/").text for _ in range(5)} == {f"{version}\n"}
    finally:
        for one in callers:
            one.end()
        edit(cli, said, SPLIT)
    assert [one.wrong for one in callers] == [[], []]
    assert all(one.asked > FLIPS for one in callers)


def test_an_edit_with_a_mistake_changes_nothing_and_says_its_line(cli: MeshCli) -> None:
    line = whole_file()[: whole_file().index(SPLIT)].count("\n") + 1
    edit(cli, SPLIT, "split: {front: 90, front-text: 10}")
    reason = f"mesh.yaml:{line}: services.front.split.front-text: there is no service 'front-text'"
    try:
        eventually(
            lambda: reason in cli.run("local", "status").out, what="the mistake in the status"
        )
        with person(cli, "front") as client:
            assert client.get("/static/logo").text == "front\n"
            assert client.get("/old").status_code == 410
    finally:
        edit(cli, "split: {front: 90, front-text: 10}", SPLIT)
    eventually(lambda: reason not in cli.run("local", "status").out, what="the mistake corrected")


def test_a_rate_is_kept_as_soon_as_the_file_says_it(cli: MeshCli) -> None:
    edit(cli, "each: 50/s", "each: 1/s")
    try:
        eventually(
            lambda: {"200", "429"} <= {*asked_by(cli, "front-0", "basket", path="/?[1-30]")},
            deadline_s=TRAFFIC_S,
            what="some let in, and the others told to wait",
        )
    finally:
        edit(cli, "each: 1/s", "each: 50/s")
