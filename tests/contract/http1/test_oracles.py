"""Our parser beside h11 and llhttp: never laxer than either, and the same message where all accept."""

from pathlib import Path

import pytest

from tests.support.http1_oracles import Refused, Seen, by_h11, by_llhttp, ours

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus_http1"
CASES = sorted(CORPUS.glob("*/*.bin"))

# h11 takes no empty line before a request; RFC 9112 2.2 says to ignore at least one.
LAXER_THAN_H11 = {"ok-leading-crlf"}


def verdict(reader: object, message: bytes, *, request: bool) -> Seen | str | None:
    try:
        return reader(message, request=request)  # type: ignore[operator, no-any-return]
    except Refused:
        return "refused"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.stem}")
def test_hostile_messages_are_refused_and_good_ones_read_as_others_read_them(case: Path) -> None:
    message = case.read_bytes()
    request = case.parent.name == "requests"
    if case.stem.startswith("bad-"):
        assert verdict(ours, message, request=request) == "refused"
        return
    seen = ours(message, request=request)
    assert seen is not None
    assert seen == by_llhttp(message, request=request)
    if case.stem not in LAXER_THAN_H11:
        assert seen == by_h11(message, request=request)


def test_we_refuse_more_than_either_oracle() -> None:
    refusals = dict.fromkeys((ours, by_h11, by_llhttp), 0)
    for case in CASES:
        for reader in refusals:
            outcome = verdict(reader, case.read_bytes(), request=case.parent.name == "requests")
            refusals[reader] += outcome == "refused"
    assert refusals[ours] > refusals[by_h11]
    assert refusals[ours] > refusals[by_llhttp]
