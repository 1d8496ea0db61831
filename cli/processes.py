"""Processes of a cluster, from their flags to their end."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from linkerd2_py.base import logs
from linkerd2_py.cli import controller_flags as flags
from linkerd2_py.cli.errors import CliError, bad_usage

if TYPE_CHECKING:
    from linkerd2_py.controlplane.listen import Listen
    from linkerd2_py.controlplane.run.kubernetes.process import Compose


def prepare(level: str, *, log_format: str) -> None:
    """Everything by which a start can fail before anything of weight is imported."""
    filter_text = level if "=" in level or "," in level else f"warn,linkerd={level}"
    chosen = flags.one_of(log_format, flags.FORMATS, flag="--log-format")
    try:
        logs.configure(filter_text=filter_text, style="json" if chosen == "json" else "plain")
    except logs.FilterError as error:
        raise bad_usage(f"--log-level: {error}") from error
    if find_spec("kubernetes") is None:
        raise flags.missing_library()


def run_until_told(compose: Compose, *, admin: Listen) -> None:
    """See `run_process`; what it cannot start with is a `CliError`."""
    from linkerd2_py.controlplane.run.kubernetes.process import StartError, run_process

    try:
        run_process(compose, admin=admin)
    except StartError as error:
        raise CliError(str(error)) from error
