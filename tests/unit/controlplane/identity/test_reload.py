"""When a changed set of files is read: poll by poll."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.identity.files import IssuerFiles
from linkerd2_py.controlplane.identity.metrics import IdentityMetrics
from linkerd2_py.controlplane.identity.reload import WatchedIssuer
from tests.support.certificates import NOW, Signer

ROOT = Signer("root")
OLD, NEW = Signer("old", by=ROOT), Signer("new", by=ROOT)


class Watched:
    """An issuer in files, polled by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "ca.crt").write_bytes(ROOT.pem)
        self.write_certificate(OLD)
        self.write_key(OLD)
        self.metrics = CollectorRegistry()
        self.watched = WatchedIssuer(
            IssuerFiles.find(directory),
            clock=ManualClock(epoch=NOW),
            metrics=IdentityMetrics(self.metrics),
        )

    def write_certificate(self, signer: Signer) -> None:
        (self.directory / "issuer.crt").write_bytes(signer.pem)

    def write_key(self, signer: Signer) -> None:
        (self.directory / "issuer.key").write_bytes(signer.key_pem)

    def poll(self) -> str:
        self.watched._poll()
        return self.watched.issuer.name

    def events(self, name: str) -> float | None:
        return self.metrics.get_sample_value("identity_issuer_updates_total", {"event": name})


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_half_written_set_is_waited_for(watched: Watched) -> None:
    watched.write_certificate(NEW)
    assert watched.poll() == "'CN=old'"
    watched.write_key(NEW)
    assert watched.poll() == "'CN=old'"
    assert watched.poll() == "'CN=new'"
    assert (watched.events("IssuerUpdated"), watched.events("IssuerUpdateSkipped")) == (1, 0)


def test_unchanged_files_are_not_read_again(watched: Watched) -> None:
    issuer = watched.watched.issuer
    for _ in range(3):
        watched.poll()
    assert watched.watched.issuer is issuer
    assert watched.events("IssuerUpdated") == 0


def test_same_problem_is_counted_once_until_it_is_over(watched: Watched) -> None:
    for turn in (1, 2):
        watched.write_certificate(NEW)
        for _ in range(4):
            assert watched.poll() == "'CN=old'"
        assert watched.events("IssuerUpdateSkipped") == turn
        assert (
            "the key is not the one of the issuer certificate 'CN=new'" in watched.watched.problem
        )
        watched.write_certificate(OLD)
        watched.poll()
        watched.poll()
        assert watched.watched.problem == ""
        assert watched.events("IssuerUpdated") == turn


def test_problem_is_over_when_the_files_in_force_are_moved_back(watched: Watched) -> None:
    certificate = watched.directory / "issuer.crt"
    backup = certificate.rename(watched.directory / "backup")
    watched.write_certificate(NEW)
    for _ in range(2):
        watched.poll()
    assert watched.watched.problem
    backup.replace(certificate)
    for _ in range(2):
        watched.poll()
    assert watched.watched.problem == ""
    assert watched.events("IssuerUpdated") == 0
