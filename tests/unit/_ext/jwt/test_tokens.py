"""What is remembered of tokens, who waits, and what becomes of the fields of a request."""

from collections.abc import Iterator

import pytest

from linkerd2_py._ext.exchange.passage import Passage
from linkerd2_py._ext.io.loop import Loop
from linkerd2_py._ext.jwt.testing import Visitor, digest
from linkerd2_py._ext.jwt.tokens import (
    BROKEN,
    BUSY,
    LONGEST_TOKEN,
    MISSING,
    REMEMBERED,
    TOO_LONG,
    TWICE,
    Candidate,
    Finding,
    TokenExaminer,
    Tokens,
)

AUTH = b"Authorization"
WAITING_MAX = 1000


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


class Shell:
    """Says of tokens what their text says: `bad…` is bad, `wait…` waits for keys."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.asked: list[bytes] = []
        self.waits = True

    def __call__(self, token: bytes) -> Finding | None:
        self.asked.append(token)
        if token.startswith(b"wait") and self.waits:
            return None
        if token.startswith(b"raise"):
            raise RuntimeError("a fault of ours")
        problem = "bad" if token.startswith(b"bad") else None
        return Finding(
            self.loop, problem=problem, rank=1, seconds=60.0, fields=[(b"x-user", token[:4])]
        )


class Rig:
    def __init__(self, loop: Loop, *, forwards: bool = False) -> None:
        self.shell = Shell(loop)
        self.loop = loop
        self.tokens = Tokens(
            loop, field=b"authorization", scheme=b"bearer ", forwards=forwards, inspect=self.shell
        )
        self.granted = Passage()
        self.problems: list[str] = []
        self.refusals: dict[str, Passage] = {}
        self.examiner = TokenExaminer(
            candidates=[Candidate(self.tokens, self.granted)],
            reserved=[b"X-User"],
            refused=self.refused,
        )

    def refused(self, problem: str) -> tuple[Passage, None]:
        self.problems.append(problem)
        made = self.refusals[problem] = Passage(refusal=problem, status=401)
        return made, None

    def visit(self, *fields: tuple[bytes, bytes]) -> Visitor:
        """Outside of a turn the time is always up: what is new waits for one."""
        visitor = Visitor(self.examiner, fields)
        visitor.look()
        if visitor.passage is None:
            assert visitor.waits
            self.loop.run_until(lambda: visitor.asked == 1, 10.0)
        return visitor

    def outcome(self, *fields: tuple[bytes, bytes]) -> str | None:
        """`in`, the problem, or None for who waits."""
        visitor = self.visit(*fields)
        if visitor.passage is None:
            visitor.withdraw()
            return None
        if visitor.passage is self.granted:
            return "in"
        return next(name for name, one in self.refusals.items() if one is visitor.passage)


def bearer(token: bytes) -> tuple[bytes, bytes]:
    return AUTH, b"Bearer " + token


def test_a_token_is_inspected_once(loop: Loop) -> None:
    rig = Rig(loop)
    assert [rig.outcome(bearer(b"good")) for _ in range(3)] == ["in"] * 3
    assert [rig.outcome(bearer(b"bad")) for _ in range(3)] == ["bad"] * 3
    assert rig.shell.asked == [b"good", b"bad"]
    assert rig.problems == ["bad"]
    rig.tokens.forget()
    assert rig.outcome(bearer(b"good")) == "in"
    assert rig.shell.asked[2:] == [b"good"]


def test_it_holds_until_it_ends(loop: Loop) -> None:
    rig = Rig(loop)
    assert rig.outcome(bearer(b"good")) == "in"
    loop.now += 61 * 10**9
    visitor = Visitor(rig.examiner, [bearer(b"good")])
    visitor.look()
    assert visitor.passage is None
    assert visitor.waits
    visitor.withdraw()


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ([], MISSING),
        ([(AUTH, b"")], MISSING),
        ([(AUTH, b"Bearer")], MISSING),
        ([(AUTH, b"Bearer ")], MISSING),
        ([(AUTH, b"Bearer    ")], MISSING),
        ([(AUTH, b"Basic YTpi")], MISSING),
        ([(AUTH, b"Bearergood")], MISSING),
        ([(AUTH, b"bEARER   good  ")], "in"),
        ([(b"AUTHORIZATION", b"Bearer good")], "in"),
        ([bearer(b"good"), bearer(b"good")], TWICE),
        ([(AUTH, b"Basic YTpi"), bearer(b"good")], TWICE),
        ([bearer(b"x" * (LONGEST_TOKEN + 1))], TOO_LONG),
        ([bearer(b"x" * LONGEST_TOKEN)], "in"),
        ([bearer(b"raise")], BROKEN),
    ],
)
def test_where_a_token_stands(loop: Loop, fields: list[tuple[bytes, bytes]], outcome: str) -> None:
    loop.on_error = lambda error, actor: None
    assert Rig(loop).outcome(*fields) == outcome


def test_what_is_bad_takes_no_room_from_what_is_good(loop: Loop) -> None:
    rig = Rig(loop)
    assert rig.outcome(bearer(b"good")) == "in"
    for number in range(3 * REMEMBERED):
        rig.outcome(bearer(b"bad%d" % number))
    rig.shell.asked.clear()
    assert rig.outcome(bearer(b"good")) == "in"
    assert rig.shell.asked == []


def test_what_is_remembered_is_bounded_and_what_is_used_stays(loop: Loop) -> None:
    rig = Rig(loop)
    for number in range(3 * REMEMBERED):
        rig.outcome(bearer(b"used"))
        rig.outcome(bearer(b"good%d" % number))
    assert rig.shell.asked.count(b"used") == 1
    rig.shell.asked.clear()
    assert rig.outcome(bearer(b"good0")) == "in"
    assert rig.shell.asked == [b"good0"]


def test_fields_that_speak_for_a_token(loop: Loop) -> None:
    rig = Rig(loop)
    forged = [(b"X-User", b"root"), (b"x_user", b"root"), (b"X-Users", b"1")]
    visitor = rig.visit(bearer(b"good"), *forged)
    assert visitor.passage is rig.granted
    assert visitor.told == [(b"X-Users", b"1"), (b"x-user", b"good")]
    visitor = Visitor(
        TokenExaminer(otherwise=rig.granted, reserved=[b"x-user"]), [bearer(b"any"), *forged]
    )
    visitor.look()
    assert visitor.passage is rig.granted
    assert visitor.told == [bearer(b"any"), (b"X-Users", b"1")]


def test_a_token_that_goes_on(loop: Loop) -> None:
    rig = Rig(loop, forwards=True)
    assert rig.visit(bearer(b"good")).told == [bearer(b"good"), (b"x-user", b"good")]


def test_who_waits_for_keys_is_asked_again_and_others_are_not_too_many(loop: Loop) -> None:
    rig = Rig(loop)
    visitors = [rig.visit(bearer(b"wait%d" % number)) for number in range(WAITING_MAX)]
    assert all(one.waits for one in visitors)
    assert rig.outcome(bearer(b"wait")) == BUSY
    assert rig.outcome(bearer(b"good")) == "in"
    visitors[0].withdraw()
    rig.shell.waits = False
    rig.tokens.resume()
    loop.run_until(lambda: all(one.passage is rig.granted for one in visitors[1:]), 10.0)
    assert visitors[0].asked == 1


def test_of_several_kinds_what_is_known_goes_first(loop: Loop) -> None:
    first, second = Rig(loop), Rig(loop)
    both = TokenExaminer(
        candidates=[
            Candidate(first.tokens, first.granted),
            Candidate(second.tokens, second.granted),
        ],
        refused=first.refused,
    )
    assert second.outcome(bearer(b"good")) == "in"
    visitor = Visitor(both, [bearer(b"good")])
    visitor.look()
    assert visitor.passage is second.granted
    assert first.shell.asked == []


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (0, "a3817f04ba25a8e66df67214c7550293"),
        (1, "da87c1d86b99af44347659119b22fc45"),
        (8, "3b62a9ba6258f5610f83e264f31497b4"),
        (15, "5493e99933b0a8117e08ec0f97cfc3d9"),
    ],
)
def test_the_digest_is_that_of_its_authors(length: int, expected: str) -> None:
    """The vectors of the reference implementation: the key and the text count up from 0."""
    assert digest(bytes(range(16)), bytes(range(length))).hex() == expected
