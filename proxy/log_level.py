"""The log filter in force: readable and changeable while the proxy runs."""

from __future__ import annotations

from linkerd2_py.base import logs


class LogLevel:
    """Remembers the filter's text, for `base.logs` keeps only its effect."""

    def __init__(self, text: str) -> None:
        self.text = text

    def change(self, text: str) -> None:
        """Put another filter in force. FilterError leaves the old one."""
        logs.set_filter(text)
        self.text = text
