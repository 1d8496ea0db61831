"""The floor of both planes: clock, names, and its weight."""

from __future__ import annotations

import subprocess
import sys

import pytest

from linkerd2_py.base import names
from linkerd2_py.base.clock import ManualClock, SystemClock


def test_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(epoch=10.0)
    assert (clock.monotonic(), clock.wall()) == (0.0, 10.0)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.wall()) == (2.5, 12.5)


def test_manual_clock_refuses_to_go_back() -> None:
    with pytest.raises(ValueError, match="does not go back"):
        ManualClock().advance(-1)


def test_system_clock_does_not_go_back() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()
    assert clock.wall() > 1_600_000_000


def test_service_authority() -> None:
    name = names.service_authority("web-svc", namespace="emojivoto", port=80)
    assert name == "web-svc.emojivoto.svc.cluster.local:80"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("web:80", ("web", 80)),
        ("web", ("web", None)),
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:53", ("::1", 53)),
        ("[::1]", ("::1", None)),
        ("::1", ("::1", None)),
    ],
)
def test_split_authority(text: str, parts: tuple[str, int | None]) -> None:
    assert names.split_authority(text) == parts


@pytest.mark.parametrize("text", ["web:", "web:0", "web:65536", "web:x", "web:٣", "[::1]:x"])
def test_split_authority_rejects_a_bad_port(text: str) -> None:
    with pytest.raises(ValueError, match="not a port"):
        names.split_authority(text)


def test_base_stays_light() -> None:
    code = (
        "import sys; from linkerd2_py.base import backoff, clock, logs, names, tasks;"
        "print([m for m in ('yaml', 'grpc', 'typer', 'google') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
