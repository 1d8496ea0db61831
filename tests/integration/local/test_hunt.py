"""Faults planted in real meshes, and what the hunt finds of them: the right one first, and nothing in a healthy
mesh.

Clock skew and refusals by policy are told by samples, in the unit tests of the kinds: no process of this machine
has a clock of its own, and on loopback addresses everybody is let in.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from linkerd2_py.base.clock import SystemClock
from tests.integration.local.mesh_cli import MeshCli
from tests.support.certificates import Signer
from tests.support.wait import eventually, patience

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PROGRAMS: Final = Path(__file__).with_name("planted")
PLANTED: Final[Mapping[str, str]] = {
    "deploy/orders": "fails",
    "deploy/stock": "slow",
    "deploy/pay": "one_pod",
    "deploy/mail": "opaque",
    "deploy/stamps": "port",
    "deploy/ballots": "crashes",
    "deploy/flood": "storm",
    "deploy/legacy": "unreachable",
    "deploy/lost": "names",
}
# A storm is the client's; what it floods fails, as planted, too.
SEEN: Final = {*PLANTED.values()}
REQUESTS: Final = 400


class Hunter:
    """A mesh, and its public API asked straight: a command costs more than its answer."""

    def __init__(self, root: Path, name: str) -> None:
        for file in PROGRAMS.glob("*.py"):
            shutil.copy(file, root)
        shutil.copy(PROGRAMS / f"{name}.yaml", root / "mesh.yaml")
        self.cli = MeshCli(root)

    def up(self, *words: str) -> None:
        """Whatever is wrong with it: some of it is planted."""
        done = self.cli.run("local", "up", "-f", "mesh.yaml", "-d", *words, timeout_s=120)
        assert (self.cli.root / "state" / "state.json").exists(), done
        self.url = self.cli.state()["public_api"]

    def ask(self, **params: str) -> dict[str, Any]:
        found = httpx2.get(f"{self.url}/api/v1/hunt", params=params, timeout=60, trust_env=False)
        answer: dict[str, Any] = found.raise_for_status().json()
        return answer

    def kinds(self, **params: str) -> list[str]:
        return [one["kind"] for one in self.ask(**params)["findings"]]


@contextmanager
def hunting(root: Path, name: str, *words: str) -> Iterator[Hunter]:
    """A mesh of that file, until the block ends."""
    made = Hunter(root, name)
    try:
        made.up(*words)
        yield made
    finally:
        made.cli.stop()


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hunter]:
    with hunting(tmp_path_factory.mktemp("faulty"), "faulty") as made:
        eventually(lambda: set(made.kinds()) >= SEEN, deadline_s=60, what="every planted fault")
        yield made


@pytest.mark.parametrize(("resource", "kind"), PLANTED.items(), ids=PLANTED.values())
def test_the_planted_fault_is_found_first(faulty: Hunter, resource: str, kind: str) -> None:
    short, _, name = resource.partition("/")
    about = {"namespace": "shop", "type": short, "name": name}
    # What balancers avoid is asked rarely, and every window is another.
    eventually(lambda: faulty.kinds(**about)[:1] == [kind], deadline_s=30, what=resource)


def test_nothing_else_is_named(faulty: Hunter) -> None:
    findings = faulty.ask()["findings"]
    named = {(one["resource"], one["kind"]) for one in findings}
    planted = {*PLANTED.items(), ("deploy/impatient", "storm"), ("deploy/flood", "fails")}
    assert named <= planted, findings


def test_the_command_tells_all_of_them_in_order(faulty: Hunter) -> None:
    done = faulty.cli.run("hunt", "-o", "json")
    assert done.status == 1, done
    findings = json.loads(done.out)["findings"]
    assert [one["rank"] for one in findings] == list(range(1, len(findings) + 1))
    assert [one["score"] for one in findings] == sorted(
        (one["score"] for one in findings), reverse=True
    )
    commands = {one["commands"][0].partition(" | ")[0] for one in findings}
    for words in {tuple(each.split()[1:3]): each.split()[1:] for each in commands}.values():
        assert faulty.cli.run(*words).status == 0, words
    shown = faulty.cli.run("hunt", "deploy/orders")
    assert shown.status == 1
    expected = "1  orders: refund fails with 500 on both replicas since they started; everything else is well\n"
    assert shown.out.startswith(expected), shown


def test_a_healthy_mesh_gives_nothing(tmp_path: Path) -> None:
    with hunting(tmp_path, "healthy") as healthy:
        # Until everybody is ready, calls fail.
        eventually(lambda: not healthy.ask()["findings"], deadline_s=60)
        seen = 0.0
        while seen < REQUESTS:
            answer = healthy.ask(window="1m")
            assert answer["findings"] == []
            seen = max(seen, answer["requests"])
        done = healthy.cli.run("hunt")
        assert (done.status, done.out) == (0, ""), done
        assert done.err.startswith("Nothing found: 7 pods and "), done


def _signed(root: Path, *, lifetime_s: float) -> list[str]:
    """An anchor and an issuer that ends soon, as `local up` takes them."""
    since = SystemClock().wall() - 60
    anchor = Signer("root.linkerd.cluster.local", starts=since)
    issuer = Signer(
        "identity.linkerd.cluster.local", by=anchor, starts=since, lifetime_s=60 + lifetime_s
    )
    words = []
    for flag, content in (
        ("trust-anchors", anchor.pem),
        ("issuer-certificate", issuer.pem),
        ("issuer-key", issuer.key_pem),
    ):
        path = root / f"{flag}.pem"
        path.write_bytes(content)
        path.chmod(0o600)
        words += [f"--identity-{flag}-file", str(path)]
    return words


def test_an_issuer_that_expires_comes_first(tmp_path: Path) -> None:
    lifetime_s = 15 * min(patience(), 6)
    with hunting(tmp_path, "healthy", *_signed(tmp_path, lifetime_s=lifetime_s)) as made:
        found = eventually(
            lambda: [one for one in made.ask()["findings"] if one["kind"] == "expired"],
            deadline_s=60,
            what="an issuer that has expired",
        )
        assert made.kinds()[0] == "expired"
        assert found[0]["sentence"].startswith(
            "the mesh's issuer, or its trust anchor, has expired"
        )
