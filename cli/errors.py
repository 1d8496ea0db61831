"""The one way a command ends badly: a line for stderr and an exit status."""

from __future__ import annotations

from typing import Final

EXIT_FAILURE: Final = 1
EXIT_USAGE: Final = 2


class CliError(Exception):
    """Printed as one line on stderr; stdout stays as it is."""

    def __init__(self, message: str, *, status: int = EXIT_FAILURE) -> None:
        super().__init__(message)
        self.status = status


def bad_usage(message: str) -> CliError:
    """The arguments make no sense together."""
    return CliError(message, status=EXIT_USAGE)
