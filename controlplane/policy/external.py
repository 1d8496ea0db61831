"""What an ExternalAuthorization may say, for whoever reads one."""

from __future__ import annotations

from typing import Final

from linkerd2_py.controlplane.policy.outbound.annotated import AnnotationError, duration

DEFAULT_TIMEOUT: Final = "200ms"
_LONGEST_MS: Final = 60_000
LEAST_STATUS, MOST_STATUS = 400, 599
EXTENSIONS_MAX: Final = 100


def timeout_s(written: str) -> float:
    """How long an answer is waited for. ValueError for what is no such time."""
    try:
        found = duration(written)
    except AnnotationError as error:
        raise ValueError(str(error)) from error
    if not 0 < found <= _LONGEST_MS:
        raise ValueError(f"must be a time up to 60s such as 200ms, not {written[:40]!r}")
    return found / 1000
