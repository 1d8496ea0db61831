"""When a changed set of files is read: poll by poll."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from linkerd2_py.base.clock import ManualClock
from linkerd2_py.controlplane.identity.files import IssuerFiles
from linkerd2_py.controlplane.identity.metrics import IdentityMetrics, IssuerEvent
from linkerd2_py.controlplane.identity.reload import FollowedIssuer
from tests.support.certificates import NOW, Signer

ROOT = Signer("root")
OLD, NEW = Signer("old", by=ROOT), Signer("new", by=ROOT)


class Followed:
    """An issuer in files, polled by hand."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "ca.crt").write_bytes(ROOT.pem)
        self.write_certificate(OLD)
        self.write_key(OLD)
        self.metrics = CollectorRegistry()
        self.clock = ManualClock(epoch=NOW)
        self.told: list[tuple[IssuerEvent, str]] = []
        self.followed = FollowedIssuer(
            IssuerFiles.find(directory),
            clock=self.clock,
            metrics=IdentityMetrics(self.metrics),
            on_event=lambda event, news: self.told.append((event, news)),
        )

    def write_certificate(self, signer: Signer) -> None:
        (self.directory / "issuer.crt").write_bytes(signer.pem)

    def write_key(self, signer: Signer) -> None:
        (self.directory / "issuer.key").write_bytes(signer.key_pem)

    def poll(self) -> str:
        self.followed._poll()
        return self.followed.issuer.name

    def events(self, name: str) -> float | None:
        return self.metrics.get_sample_value("identity_issuer_updates_total", {"event": name})


@pytest.fixture
def followed(tmp_path: Path) -> Followed:
    return Followed(tmp_path)


def test_half_written_set_is_waited_for(followed: Followed) -> None:
    followed.write_certificate(NEW)
    assert followed.poll() == "'CN=old'"
    followed.write_key(NEW)
    assert followed.poll() == "'CN=old'"
    assert followed.poll() == "'CN=new'"
    assert (followed.events("IssuerUpdated"), followed.events("IssuerUpdateSkipped")) == (1, 0)


def test_unchanged_files_are_not_read_again(followed: Followed) -> None:
    issuer = followed.followed.issuer
    for _ in range(3):
        followed.poll()
    assert followed.followed.issuer is issuer
    assert followed.events("IssuerUpdated") == 0


def test_same_problem_is_counted_once_until_it_is_over(followed: Followed) -> None:
    for turn in (1, 2):
        followed.write_certificate(NEW)
        for _ in range(4):
            assert followed.poll() == "'CN=old'"
        assert followed.events("IssuerUpdateSkipped") == turn
        assert (
            "the key is not the one of the issuer certificate 'CN=new'" in followed.followed.problem
        )
        followed.write_certificate(OLD)
        followed.poll()
        followed.poll()
        assert followed.followed.problem == ""
        assert followed.events("IssuerUpdated") == turn


def test_problem_is_over_when_the_files_in_force_are_moved_back(followed: Followed) -> None:
    certificate = followed.directory / "issuer.crt"
    backup = certificate.rename(followed.directory / "backup")
    followed.write_certificate(NEW)
    for _ in range(2):
        followed.poll()
    assert followed.followed.problem
    backup.replace(certificate)
    for _ in range(2):
        followed.poll()
    assert followed.followed.problem == ""
    assert followed.events("IssuerUpdated") == 0


def test_every_event_is_told_in_words(followed: Followed) -> None:
    followed.write_certificate(NEW)
    for _ in range(2):
        followed.poll()
    followed.write_key(NEW)
    for _ in range(2):
        followed.poll()
    (skipped, why), (updated, news) = followed.told
    assert (skipped, updated) == (IssuerEvent.SKIPPED, IssuerEvent.UPDATED)
    assert why.startswith("the issuer stays 'CN=old': ")
    assert news.startswith("the issuer is now 'CN=new', until ")


def test_the_end_of_an_issuer_is_told_once(followed: Followed) -> None:
    ends = followed.followed.issuer.ends.timestamp()
    followed.clock.advance(ends - NOW - 1)
    followed.followed._look_at_end()
    assert followed.told == []
    followed.clock.advance(1)
    for _ in range(2):
        followed.followed._look_at_end()
    ((event, news),) = followed.told
    assert event is IssuerEvent.FAILED
    assert news.startswith("the chain of the issuer 'CN=old' ended at ")
    assert followed.events("IssuerValidationFailed") == 1
