"""`completion`: a script that teaches the shell our words."""

from __future__ import annotations

from typing import Annotated

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.quick import SHELLS, read_text


def completion(
    shell: Annotated[
        str,
        typer.Argument(
            metavar="SHELL", help="bash, zsh or fish.", autocompletion=completing.words(*SHELLS)
        ),
    ],
) -> None:
    """Print a completion script.

    \b
    bash: source <(linkerd2-py completion bash)
    zsh:  the same, after compinit
    fish: linkerd2-py completion fish | source
    """
    if shell not in SHELLS:
        raise bad_usage(f"no completion for {shell!r}: use {', '.join(SHELLS)}")
    output.write(read_text(f"completion.{shell}"))
