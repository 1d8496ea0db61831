"""What policy says of endpoints that fail, as a value, and what the log says of their breakers."""

from __future__ import annotations

import logging
import math
from typing import Any, Final, NamedTuple

from linkerd2_py._ext.balance.accrual import Accrual
from linkerd2_py._ext.route.target import Target
from linkerd2_py.proto.gen import outbound_pb2 as outbound
from linkerd2_py.proxy.policy.messages import seconds
from linkerd2_py.proxy.settings import ns

logger = logging.getLogger(__name__)

_WHOLE: Final = 10_000
_WINDOW_S: Final = 10.0
_WINDOW_MIN_S: Final = 0.01
_REQUESTS_MAX: Final = 1_000_000
_JITTER_MAX: Final = 100.0
_YEAR_S: Final = 366 * 86_400.0
"""Whatever is longer is that long."""


class Backoff(NamedTuple):
    """How long an endpoint that fails is left alone."""

    least_s: float
    most_s: float
    jitter: float
    heeds_hold: bool = False


class FailureAccrual(NamedTuple):
    """When it is. 0 of `max_failures` and of `threshold` (in ten thousandths) are off."""

    backoff: Backoff
    max_failures: int = 0
    threshold: int = 0
    window_s: float = _WINDOW_S
    min_requests: int = 0
    strict: bool = False
    min_ready: int = 0

    def agreed(self) -> Accrual:
        """For the engine."""
        return Accrual(
            max_failures=self.max_failures,
            threshold=self.threshold,
            window_ns=ns(self.window_s),
            min_requests=self.min_requests,
            strict=self.strict,
            min_backoff_ns=ns(self.backoff.least_s),
            max_backoff_ns=ns(self.backoff.most_s),
            jitter=self.backoff.jitter,
            heeds_hold=self.backoff.heeds_hold,
            min_ready=self.min_ready,
        )


NEVER: Final = FailureAccrual(Backoff(1.0, 1.0, 0.0))
"""Whatever an endpoint does."""


def failure_accrual(protocol: Any) -> FailureAccrual | None:
    """Of one protocol of a policy, or of a route; None: it has none, or one that is off. ValueError for what
    Linkerd's proxy does not accept either.
    """
    if "failure_accrual" not in protocol.DESCRIPTOR.fields_by_name:
        return None
    if not protocol.HasField("failure_accrual"):
        return None
    message: outbound.FailureAccrual = protocol.failure_accrual
    kind = message.WhichOneof("kind")
    if kind is None:
        raise ValueError("failure accrual without a kind")
    if kind == "unified":
        found = _unified(message.unified)
    else:
        consecutive = message.consecutive_failures
        found = FailureAccrual(_backoff(consecutive), consecutive.max_failures)
    if not found.max_failures and not found.threshold:
        return None
    return found._replace(min_ready=message.ejection.min_ready_endpoints)


def own_accrual(route: Any) -> FailureAccrual | None:
    """Of one route; None: it has none of its own. One that is off is its own, too."""
    if "failure_accrual" not in route.DESCRIPTOR.fields_by_name:
        return None
    return (failure_accrual(route) or NEVER) if route.HasField("failure_accrual") else None


def _unified(message: outbound.FailureAccrual.Unified) -> FailureAccrual:
    share = message.success_rate_threshold
    if not 0 <= share <= 1:
        raise ValueError(f"a share of successes of {share}")
    threshold = math.floor(share * _WHOLE + 0.5)
    window_s = _span(message, "decay") if message.HasField("decay") else _WINDOW_S
    if threshold and window_s < _WINDOW_MIN_S:
        raise ValueError(f"successes counted for {window_s} s only")
    if message.min_requests > _REQUESTS_MAX:
        raise ValueError(f"successes that say nothing before {message.min_requests} requests")
    return FailureAccrual(
        _backoff(message),
        message.max_consecutive_failures,
        threshold,
        window_s,
        message.min_requests,
        strict=True,
    )


def _backoff(message: Any) -> Backoff:
    if not message.HasField("backoff"):
        raise ValueError("failure accrual without a backoff")
    said: outbound.ExponentialBackoff = message.backoff
    least, most = _span(said, "min_backoff"), _span(said, "max_backoff")
    if not least <= most or not most:
        raise ValueError(f"a backoff from {least} to {most} s")
    if not 0 <= said.jitter_ratio <= _JITTER_MAX:
        raise ValueError(f"a jitter of {said.jitter_ratio}")
    return Backoff(least, most, said.jitter_ratio, said.respect_retry_after_hint)


def _span(message: Any, name: str) -> float:
    return min(seconds(message, name), _YEAR_S)


def log_breaker(target: Target, endpoint: str, state: str, wait_ns: int, untold: int) -> None:
    """The breaker of one endpoint changed, and `untold` others of the target did since the last line."""
    more = f" ({untold} more since the last line)" if untold else ""
    name = target.key.decode(errors="replace")
    if state == "open":
        wait_s = wait_ns / 1e9
        text = "%s: endpoint %s fails too much, and is left alone for %.1f s%s"
        logger.warning(text, name, endpoint, wait_s, more)
    else:
        logger.info("%s: endpoint %s is well again%s", name, endpoint, more)
