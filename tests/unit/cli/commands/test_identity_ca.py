"""`identity-ca`: four files that fit together, and nothing overwritten by accident."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.cli.commands.identity_ca import FILE_NAMES
from linkerd2_py.cli.main import run
from linkerd2_py.controlplane.identity.files import IssuerFiles
from tests.support.certificates import openssl

DAY = timedelta(days=1)


def lifetime(path: Path) -> timedelta:
    ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    return ends - datetime.now(UTC)


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


def make(directory: Path, *words: str) -> int:
    return run(["identity-ca", "--out", str(directory), *words])


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("linkerd2-py: ")
    assert captured.err.count("\n") == 1
    return captured.err


def test_four_files_that_the_identity_service_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a" / "b"
    before = os.umask(0)
    try:
        assert make(out) == 0
    finally:
        os.umask(before)
    assert sorted(contents(out)) == sorted(FILE_NAMES)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "issuer.crt": 0o644, "issuer.key": 0o600}
    assert capsys.readouterr().out == "".join(f"√ {out / name}\n" for name in FILE_NAMES)
    issuer = IssuerFiles.find(out).load(now=SystemClock().wall())
    assert issuer.name == "'CN=identity.linkerd.cluster.local'"
    assert "OK" in openssl("verify", "-x509_strict", "-CAfile", out / "ca.crt", out / "issuer.crt")
    assert lifetime(out / "ca.crt") == pytest.approx(3650 * DAY, abs=timedelta(minutes=5))
    assert lifetime(out / "issuer.crt") == pytest.approx(365 * DAY, abs=timedelta(minutes=5))


def test_names_and_lifetimes_as_asked(tmp_path: Path) -> None:
    words = ["--trust-domain", "mesh.example", "--anchor-lifetime", "48h", "--issuer-lifetime"]
    assert make(tmp_path, *words, "90m") == 0
    assert lifetime(tmp_path / "ca.crt") == pytest.approx(2 * DAY, abs=timedelta(minutes=5))
    assert lifetime(tmp_path / "issuer.crt") == pytest.approx(DAY / 16, abs=timedelta(minutes=5))
    text = openssl("x509", "-noout", "-text", "-in", tmp_path / "issuer.crt")
    assert "DNS:identity.linkerd.mesh.example" in text


@pytest.mark.parametrize("name", FILE_NAMES)
def test_nothing_is_overwritten_without_force(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / name).write_text("precious")
    assert make(tmp_path) == 1
    assert f"has {name} already: choose another directory, or --force" in complaint(capsys)
    assert contents(tmp_path) == {name: b"precious"}
    assert make(tmp_path, "--force") == 0
    assert sorted(contents(tmp_path)) == sorted(FILE_NAMES)
    assert stat.S_IMODE((tmp_path / "ca.key").stat().st_mode) == 0o600


def test_link_to_nowhere_is_something_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.key").symlink_to("/nowhere/at/all")
    assert make(tmp_path) == 1
    assert "has ca.key already" in complaint(capsys)


def test_directory_in_the_way_leaves_the_old_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(tmp_path) == 0
    (tmp_path / "issuer.key").unlink()
    (tmp_path / "issuer.key").mkdir()
    before = contents(tmp_path)
    capsys.readouterr()
    assert make(tmp_path, "--force") == 1
    assert "issuer.key: cannot be overwritten: it is a directory" in complaint(capsys)
    assert contents(tmp_path) == before


def test_directory_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert make(tmp_path / "file" / "below") == 1
    assert "file/below: cannot be written: Not a directory" in complaint(capsys)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--trust-domain a_b", "--trust-domain: 'a_b' is not a trust domain"),
        (f"--trust-domain {'a' * 60}", "is too long: it may have 47 characters"),
        ("--anchor-lifetime 10y", "--anchor-lifetime: '10y' is not a duration"),
        ("--anchor-lifetime 1h", "--issuer-lifetime is longer than --anchor-lifetime"),
        ("--issuer-lifetime 30s", "--issuer-lifetime: 30s is not between 1m and 876000h"),
        ("--anchor-lifetime 876001h", "--anchor-lifetime: 876001h is not between"),
    ],
)
def test_bad_usage_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, message: str
) -> None:
    assert make(tmp_path / "out", *words.split()) == 2
    assert message in complaint(capsys)
    assert not (tmp_path / "out").exists()


def test_directory_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["identity-ca"]) == 2
    assert "Missing option '--out'" in complaint(capsys)
