"""`completion`: a script that teaches the shell our words."""

from __future__ import annotations

from typing import Annotated

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.options import ApiAddr, Namespace, Verbose

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "linkerd2-py"
VARIABLE = "_LINKERD2_PY_COMPLETE"


def complete_shells() -> list[str]:
    """Words for shell completion."""
    return list(SHELLS)


def completion(
    shell: Annotated[
        str,
        typer.Argument(metavar="SHELL", help="bash, zsh or fish.", autocompletion=complete_shells),
    ],
    _namespace: Namespace = None,
    _api_addr: ApiAddr = None,
    _verbose: Verbose = False,
) -> None:
    """Print a completion script.

    bash: source <(linkerd2-py completion bash)   |   zsh: the same, after
    compinit   |   fish: linkerd2-py completion fish | source
    """
    if shell not in SHELLS:
        raise bad_usage(f"no completion for {shell!r}: use {', '.join(SHELLS)}")
    from typer import completion as scripts

    script = scripts.get_completion_script(  # type: ignore[attr-defined]
        prog_name=PROGRAM, complete_var=VARIABLE, shell=shell
    )
    output.write(script)
