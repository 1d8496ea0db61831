"""How long requests of a rule may take, and when they are sent again, as values."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from linkerd2_py._ext.exchange.retry import Budget, Retry
from linkerd2_py._ext.exchange.timeouts import Timeouts
from linkerd2_py._ext.metrics.routes import RetryMetrics
from linkerd2_py.proxy.policy.messages import seconds

_MOST_RETRIES: Final = 65535
_MOST_JITTER: Final = 100.0
# Seven weeks: nobody waits longer, and sums of a few of these are numbers of the engine.
LONGEST_NS: Final = 2**52
_STATUSES: Final = range(1, 600)
# The codes by which gRPC routes may be tried again, as the wire spells them.
_CODES: Final = {
    "cancelled": 1,
    "deadine_exceeded": 4,
    "resource_exhausted": 8,
    "internal": 13,
    "unavailable": 14,
}


class Limits(NamedTuple):
    """Seconds; 0: none."""

    request_s: float = 0.0
    response_s: float = 0.0
    idle_s: float = 0.0

    def made(self) -> Timeouts | None:
        """As the engine has it; None where there is no limit."""
        if not any(self):
            return None
        return Timeouts(
            request_ns=_ns(self.request_s),
            response_ns=_ns(self.response_s),
            idle_ns=_ns(self.idle_s),
        )


class Again(NamedTuple):
    """When there is another try. `statuses`: ranges, both ends included; `timeout_s`: of a try, 0: none."""

    statuses: tuple[tuple[int, int], ...] = ()
    codes: tuple[int, ...] = ()
    limit: int = 1
    timeout_s: float = 0.0
    most_bytes: int = 65536
    pause_s: float = 0.0
    longest_pause_s: float = 0.0
    jitter: float = 0.0

    def made(self, *, metrics: RetryMetrics | None, budget: Budget | None = None) -> Retry:
        """As the engine has it."""
        return Retry(
            statuses=self.statuses,
            codes=self.codes,
            limit=self.limit,
            timeout_ns=_ns(self.timeout_s),
            most_bytes=self.most_bytes,
            pause_ns=_ns(self.pause_s),
            longest_pause_ns=_ns(self.longest_pause_s),
            jitter=self.jitter,
            budget=budget,
            metrics=metrics,
        )


class Tries(NamedTuple):
    """Of one rule. `heeds_headers`: requests may say it of themselves."""

    limits: Limits = Limits()
    again: Again | None = None
    heeds_headers: bool = False


ONCE: Final = Tries()


def tries(rule: Any) -> Tries:
    """Of a rule of any kind of route. ValueError for what Linkerd's proxy does not accept either."""
    fields = rule.DESCRIPTOR.fields_by_name
    limits = _limits(rule.timeouts) if "timeouts" in fields else Limits()
    if "requestTimeout" in fields and rule.HasField("requestTimeout") and not limits.request_s:
        limits = limits._replace(request_s=seconds(rule, "requestTimeout"))
    again = _again(rule.retry) if "retry" in fields and rule.HasField("retry") else None
    heeds = "allow_l5d_request_headers" in fields and rule.allow_l5d_request_headers
    return Tries(limits, again, heeds)


def _limits(message: Any) -> Limits:
    names = ("request", "response", "idle")
    return Limits(*(seconds(message, name) if message.HasField(name) else 0.0 for name in names))


def _again(message: Any) -> Again:
    if not message.HasField("conditions"):
        raise ValueError("retries without conditions")
    if message.max_retries > _MOST_RETRIES:
        raise ValueError(f"{message.max_retries} retries")
    said = message.conditions
    statuses: tuple[tuple[int, int], ...] = ()
    codes: tuple[int, ...] = ()
    if "status_ranges" in said.DESCRIPTOR.fields_by_name:
        statuses = tuple(_range(one.start, one.end) for one in said.status_ranges)
    else:
        codes = tuple(code for name, code in _CODES.items() if getattr(said, name))
    pauses = _pauses(message.backoff) if message.HasField("backoff") else (0.0, 0.0, 0.0)
    timeout_s = seconds(message, "timeout") if message.HasField("timeout") else 0.0
    return Again(
        statuses, codes, message.max_retries, timeout_s, message.max_request_bytes, *pauses
    )


def _range(first: int, last: int) -> tuple[int, int]:
    if first not in _STATUSES or last not in _STATUSES or first > last:
        raise ValueError(f"statuses from {first} to {last}")
    return first, last


def _pauses(message: Any) -> tuple[float, float, float]:
    """The first, the longest, and by how much each may be longer."""
    least, most = seconds(message, "min_backoff"), seconds(message, "max_backoff")
    if least > most or not 0 <= message.jitter_ratio <= _MOST_JITTER:
        raise ValueError(f"pauses from {least} to {most} s, {message.jitter_ratio} longer")
    return least, most, message.jitter_ratio


def _ns(seconds_: float) -> int:
    return min(round(seconds_ * 1e9), LONGEST_NS)
