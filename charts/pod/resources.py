"""CPU, memory and disk of a container, from values of the form of `proxy.resources`."""

from __future__ import annotations

from linkerd2_py.charts.nodes import Expression, Tree, When, some
from linkerd2_py.charts.pod.kinds import as_text, first_of

_AMOUNTS = ("cpu", "memory", "ephemeral-storage")


def resources(*paths: str) -> When:
    """Limits and requests, by the first of `paths` that says each; nothing where none says any."""
    limits, requests = _said(paths, "limit"), _said(paths, "request")
    return When(
        some(*limits.values(), *requests.values()),
        {"limits": _amounts(limits), "requests": _amounts(requests)},
    )


def _said(paths: tuple[str, ...], kind: str) -> dict[str, Expression]:
    return {
        amount: first_of(tuple(f"{path}.{amount}.{kind}" for path in paths)) for amount in _AMOUNTS
    }


def _amounts(said: dict[str, Expression]) -> Tree:
    return When(
        some(*said.values()),
        {amount: When(found, as_text(found)) for amount, found in said.items()},
    )
