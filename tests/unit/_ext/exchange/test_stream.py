"""What halves do, and what they report to, where no codec and no exchange overrides it."""

import pytest

from linkerd2_py._ext.exchange.testing import (
    bare_dispatch,
    bare_half,
    bare_half_facts,
    bare_owner,
    bare_peer,
)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("send_head", "no head"),
        ("send_body", "no body"),
        ("send_trailers", "no trailers"),
        ("send_interim", "only a server half"),
        ("reset", "cannot be reset"),
        ("into_tunnel", "only an HTTP/1 half"),
    ],
)
def test_a_half_without_a_codec_takes_no_commands(command: str, why: str) -> None:
    with pytest.raises(NotImplementedError, match=why):
        bare_half(command)


def test_a_half_without_a_codec_may_be_held_and_released() -> None:
    assert bare_half("hold") == 0


def test_a_half_is_fresh_http1_that_needs_no_proof_and_reports_to_nobody() -> None:
    version, pooled, proven, has_peer = bare_half_facts()
    assert version == "1.1"
    assert not pooled
    assert proven
    assert not has_peer


def test_a_peer_takes_every_report_in_silence() -> None:
    assert bare_peer() == [0] * 11


def test_nobody_takes_requests_unasked() -> None:
    with pytest.raises(NotImplementedError, match="nobody takes requests"):
        bare_dispatch()


def test_an_owner_takes_every_report_in_silence() -> None:
    assert bare_owner() == [0] * 3
