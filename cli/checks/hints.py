"""Where more is said of what a check found: Linkerd's page has a section for each of those that we share."""

from __future__ import annotations

from typing import Final

_PAGE: Final = "https://linkerd.io/2/checks/#"


def linkerd(section: str) -> str:
    """The section of Linkerd's page."""
    return f"{_PAGE}{section}"
