"""What `inject` and `uninject` tell of the objects in a manifest, in Linkerd's words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from linkerd2_py.base.logs import printable
from linkerd2_py.controlplane.injector import names
from linkerd2_py.controlplane.injector.report import Report

_TOKENS: Final = (
    'pods do not have automountServiceAccountToken set to "false" or service account token projection is'
    " enabled"
)
_NO_KIND: Final = 'document missing "kind" field, skipped'


def injected(reports: Sequence[Report], *, verbose: bool) -> str:
    """What is worth a warning, then a line for each object. Empty lines keep it apart from the manifest."""
    warnings = list(_warnings(reports, verbose=verbose))
    lines = ["", *warnings, *([""] if warnings else []), *map(_outcome, reports), ""]
    return "".join(f"{line}\n" for line in lines)


def uninjected(reports: Sequence[Report]) -> str:
    """A line for each object."""
    lines = ["", *map(_uninjected, reports), ""]
    return "".join(f"{line}\n" for line in lines)


def _warnings(reports: Sequence[Report], *, verbose: bool) -> Iterator[str]:
    def those(holds: Callable[[Report], bool]) -> str:
        return ", ".join(printable(one.resource) for one in reports if holds(one))

    is_supported = any(one.is_injectable or one.annotatable for one in reports)
    udp = [one for one in reports if one.udp]
    told = (
        (
            those(lambda one: one.host_network),
            '"hostNetwork: true" detected in {}',
            "pods do not use host networking",
        ),
        (
            those(lambda one: one.sidecar),
            "known 3rd party sidecar detected in {}",
            "pods do not have a 3rd party proxy or initContainer already injected",
        ),
        (
            those(lambda one: one.disabled),
            f'"{names.INJECT}: {names.DISABLED}" annotation set on {{}}',
            "pods are not annotated to disable injection",
        ),
        (
            "" if is_supported else "objects",
            "no supported {} found",
            "at least one resource can be injected or annotated",
        ),
        (
            those(lambda one: one.udp),
            f'{{}} {"uses" if len(udp) < 2 else "use"} "protocol: UDP"',
            "pod specs do not include UDP ports",
        ),
    )
    for found, warning, fine in told:
        if found:
            yield f"‼ {warning.format(found)}"
        elif verbose:
            yield f"√ {fine}"
    if verbose and not any(one.no_token for one in reports):
        yield f"√ {_TOKENS}"


def _outcome(report: Report) -> str:
    if report.is_injectable:
        return _line(report, "injected")
    if report.annotated:
        return _line(report, "annotated")
    return _line(report, "skipped") if report.kind else _NO_KIND


def _uninjected(report: Report) -> str:
    if report.uninjected:
        return _line(report, "uninjected")
    return _line(report, "skipped") if report.kind else _NO_KIND


def _line(report: Report, outcome: str) -> str:
    return f'{printable(report.kind)} "{printable(report.name)}" {outcome}'
