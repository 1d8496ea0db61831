"""A breaker beside a model that keeps every verdict and looks at all of them again."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from linkerd2_py._ext.balance import testing as door
from linkerd2_py._ext.balance.accrual import Accrual

WINDOW = 10_000_000

AGREED = st.fixed_dictionaries(
    {
        "max_failures": st.integers(0, 4),
        "threshold": st.sampled_from([0, 1, 5000, 8000, 9999, 10_000]),
        "min_requests": st.integers(0, 6),
        "strict": st.booleans(),
        "min_backoff_ns": st.integers(0, 3 * WINDOW),
        "max_backoff_ns": st.integers(3 * WINDOW, 9 * WINDOW),
        "heeds_hold": st.booleans(),
    }
)
VERDICTS = st.sampled_from(["nothing", "success", "limited", "failure"])
PAUSES = st.one_of(st.just(0), st.integers(0, WINDOW // 5), st.integers(0, 3 * WINDOW))
TENTH = WINDOW // 10
# Where a verdict falls into another tenth of the window, or out of it.
BOUNDS = st.sampled_from([n * TENTH + off for n in (1, 4, 9, 10, 11) for off in (-1, 0, 1)])
MOSTLY_GOOD = st.sampled_from(["success", "success", "success", "failure", "limited", "nothing"])
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("ends"), PAUSES, VERDICTS, st.integers(0, 3 * WINDOW), st.booleans()),
        st.tuples(st.just("time"), PAUSES, st.booleans()),
        st.tuples(st.just("probe"), PAUSES),
    ),
    max_size=60,
)


@dataclass
class Model:
    """In plain words: what a breaker is, with nothing forgotten."""

    agreed: dict[str, Any]
    state: str = "closed"
    since: int = 0
    """The first moment of the window's first tenth, since it was closed."""
    heard: list[tuple[int, str]] = field(default_factory=list)
    tripped: int = -1
    probe: int | None = None
    times: int = 0

    def ends(self, verdict: str, sent: int, now: int) -> str:
        if self.state == "closed":
            if verdict != "nothing":
                self.heard.append((now, verdict))
            return "trip" if verdict != "nothing" and self._failed_enough(now) else ""
        if sent <= self.tripped:
            return ""
        if verdict == "success" or (verdict == "limited" and not self.agreed["strict"]):
            return self._close(now)
        if self.state != "probing" or self.probe is None or sent < self.probe:
            return ""
        if verdict == "nothing":
            self.state = "probation"
            return "wait"
        return "reopen"

    def time(self, now: int, *, answered: bool) -> str:
        if self.state == "open":
            self.state = "probation"
            return "wait"
        if self.state == "probing":
            return self._close(now) if answered else "reopen"
        return ""

    def open(self, now: int, *, hold_ns: int) -> int:
        least, most = self.agreed["min_backoff_ns"], self.agreed["max_backoff_ns"]
        if self.state == "closed":
            self.tripped = now
        wait: int = min(least * 2**self.times, most)
        self.state, self.times = "open", self.times + 1
        return max(wait, min(hold_ns, most)) if self.agreed["heeds_hold"] else wait

    def _close(self, now: int) -> str:
        self.state, self.since, self.heard, self.times = "closed", now, [], 0
        return "close"

    def _failed_enough(self, now: int) -> bool:
        verdicts = [verdict for _, verdict in self.heard]
        row = next(
            (i for i, one in enumerate(reversed(verdicts)) if one != "failure"), len(verdicts)
        )
        if self.agreed["max_failures"] and row >= self.agreed["max_failures"]:
            return True
        width = WINDOW // 10
        current = (now - self.since) // width
        within = [one for at, one in self.heard if (at - self.since) // width > current - 10]
        share = Fraction(within.count("success"), len(within))
        enough = len(within) >= self.agreed["min_requests"]
        return enough and share < Fraction(self.agreed["threshold"], 10_000)


@given(AGREED, EVENTS)
def test_it_does_what_the_model_does(agreed: dict[str, Any], events: list[Any]) -> None:
    now = WINDOW
    breaker = door.breaker(Accrual(window_ns=WINDOW, **agreed), now=now)
    model = Model(agreed, since=now)
    for what, pause, *rest in events:
        now += pause
        step = ""
        match what:
            case "ends":
                verdict, ago, spared = rest
                sent = now - ago
                step = model.ends(verdict, sent, now)
                assert door.hear(breaker, verdict, sent=sent, now=now) == step
                if step == "trip" and not spared:
                    continue
            case "time":
                step = model.time(now, answered=rest[0])
                assert door.on_time(breaker, now=now, answered=rest[0]) == step
            case "probe" if model.state == "probation":
                model.state, model.probe = "probing", now
                door.probe(breaker, now=now)
        if step in {"trip", "reopen"}:
            hold = 5 * WINDOW * (now % 2)
            assert door.open_for(breaker, now=now, hold_ns=hold) == model.open(now, hold_ns=hold)
        said = "probation" if model.state == "probing" else model.state
        assert door.breaker_state(breaker) == said


@given(
    st.sampled_from([1, 5000, 8000, 9999, 10_000]),
    st.integers(0, 6),
    st.lists(st.tuples(BOUNDS, MOSTLY_GOOD), min_size=4, max_size=40),
)
def test_it_counts_what_the_window_has(
    threshold: int, min_requests: int, verdicts: list[tuple[int, str]]
) -> None:
    """It is never opened, as where its set cannot spare its endpoint."""
    agreed = {"max_failures": 0, "threshold": threshold, "min_requests": min_requests}
    waits = {"min_backoff_ns": 1, "max_backoff_ns": 1}
    now = WINDOW
    breaker = door.breaker(Accrual(window_ns=WINDOW, **agreed, **waits), now=now)
    model = Model(agreed, since=now)
    for pause, verdict in verdicts:
        now += pause
        assert door.hear(breaker, verdict, sent=now, now=now) == model.ends(verdict, now, now)
