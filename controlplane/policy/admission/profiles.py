"""Rules of ServiceProfiles."""

from __future__ import annotations

from linkerd2_py.controlplane.policy.admission.fields import Asked, Field
from linkerd2_py.controlplane.policy.admission.notations import duration_problem, regex_problem

_LEAST_STATUS, _MOST_STATUS = 100, 599


def check_service_profile(asked: Asked) -> None:
    """Routes with a name and a condition, and times that are some."""
    spec = asked.spec
    for route in spec["routes"]:
        if not route["name"].text():
            route["name"].refuse("must be said")
        route["timeout"].check(duration_problem)
        _check_request(route["condition"])
        for one in route["responseClasses"]:
            _check_response(one["condition"])
    budget = spec["retryBudget"]
    if budget.is_said:
        ratio = budget["retryRatio"]
        if isinstance(ratio.value, int | float) and ratio.value < 0:
            ratio.refuse("must not be negative")
        if not budget["ttl"].text():
            budget["ttl"].refuse("must be said")
        budget["ttl"].check(duration_problem)


def _check_request(condition: Field) -> None:
    """At least one thing is asked for, in each condition that it is made of."""
    condition["pathRegex"].check(regex_problem)
    parts = _parts(condition)
    if not (parts or condition["pathRegex"].text() or condition["method"].text()):
        condition.refuse("must say something")
    for part in parts:
        _check_request(part)


def _check_response(condition: Field) -> None:
    status = condition["status"]
    least, most = (
        status[end].number(_LEAST_STATUS, _MOST_STATUS) if status[end].value else None
        for end in ("min", "max")
    )
    if least and most and most < least:
        status["max"].refuse(f"must not be less than min, {least}")
    parts = _parts(condition)
    if not (parts or least or most):
        condition.refuse("must say something")
    for part in parts:
        _check_response(part)


def _parts(condition: Field) -> list[Field]:
    negated = condition["not"]
    one = [negated] if isinstance(negated.value, dict) else list(negated)
    return [*condition["all"], *condition["any"], *one]
