"""The `linkerd2-py` command: dispatch, and one place where errors become lines and statuses."""

from __future__ import annotations

import os
import sys

from linkerd2_py.base.streams import INTERRUPTED, run_program
from linkerd2_py.cli import PLUGIN, PROGRAM
from linkerd2_py.cli.quick import quick_answer

# As type checkers know it; `cli.quick` says why.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

METADATA: Final = "_extension-metadata"
EXTENSION: Final = "linkerd-"
COMPLETE_VARIABLE: Final = "_LINKERD2_PY_COMPLETE"
_SHORT: Final = ("-n", "-L")
_LONG: Final = (
    "--namespace",
    "--linkerd-namespace",
    "--api-addr",
    "--kubeconfig",
    "--context",
    "--as",
    "--as-group",
)
_PLAIN: Final = ("--verbose",)


def main() -> None:
    """Run the command of sys.argv and exit. Its own name says how it was called: as itself, by kubectl, or
    by a command line that has it as an extension.
    """
    if sys.argv[1:2] == ["proxy"]:
        # What runs in every pod must start without the command line's imports.
        from linkerd2_py.proxy.__main__ import main as proxy_main

        del sys.argv[1]
        raise SystemExit(proxy_main())
    own = sys.argv[0].rpartition("/")[2]
    called = f"kubectl {PROGRAM}" if own == PLUGIN else PROGRAM
    words = sys.argv[1:]
    if words == [METADATA]:
        raise SystemExit(run_program(PROGRAM, lambda: _describe(own)))
    raise SystemExit(run_program(PROGRAM, lambda: _dispatch(words, called=called)))


def _describe(own: str) -> int:
    """As an extension under the name that it was called by: its check is always worth a run."""
    import json

    sys.stdout.write(json.dumps({"name": own, "checks": "always", "program": PROGRAM}) + "\n")
    return 0


def _dispatch(words: Sequence[str], *, called: str) -> int:
    """The programs of a pod have their own ways with arguments."""
    if words[:1] == ["proxy-identity"]:
        from linkerd2_py.proxy.pod.identity import main as identity_main

        return identity_main(words[1:])
    if words[:1] == ["proxy-init"]:
        from linkerd2_py.proxy.pod.init.__main__ import main as init_main

        return init_main(words[1:])
    if words[:1] == ["network-validator"]:
        from linkerd2_py.proxy.pod.validator import main as validator_main

        return validator_main(words[1:])
    return run(words, called=called)


def run(arguments: Sequence[str], *, called: str = PROGRAM) -> int:
    """Run a command and return its exit status; help says that it is `called` so. OutputError when nobody
    takes its output.
    """
    if COMPLETE_VARIABLE not in os.environ:
        answer = quick_answer(arguments)
        if answer is not None:
            sys.stdout.write(answer.replace(f"{PROGRAM} ", f"{called} "))
            return 0
    words = hoist_globals(arguments) or ["--help"]
    _become_extension(words)
    return _run(words, called=called)


def _become_extension(words: Sequence[str]) -> None:
    """Where none of our commands but a program on the PATH is meant, that is who goes on: with our words,
    our streams, and an exit status of its own.
    """
    from linkerd2_py.cli.app import COMMANDS

    name = words[0]
    # What has a slash would be a program in a folder.
    if name in COMMANDS or not name.replace("-", "").isalnum() or name.startswith("-"):
        return
    import shutil

    program = shutil.which(f"{EXTENSION}{name}")
    if program is not None:
        sys.stdout.flush()
        os.execv(program, [program, *words[1:]])  # noqa: S606


def hoist_globals(arguments: Sequence[str]) -> list[str]:
    """Move global flags that stand before the command behind it, where every command takes them."""
    flags: list[str] = []
    rest = list(arguments)
    while rest and (taken := _globals_at(rest)):
        flags += rest[:taken]
        rest = rest[taken:]
    if not rest or rest[0].startswith("-"):
        return list(arguments)
    end = rest.index("--") if "--" in rest else len(rest)
    return [*rest[:end], *flags, *rest[end:]]


def _globals_at(words: Sequence[str]) -> int:
    """How many words the global flag at the front takes; 0 if there is none."""
    first = words[0]
    if first in _PLAIN:
        return 1
    if first in _SHORT or first in _LONG:
        return min(2, len(words))
    name, glued, _ = first.partition("=")
    return 1 if first.startswith(_SHORT) or (glued and name in _LONG) else 0


def _run(arguments: Sequence[str], *, called: str) -> int:
    # Plain help without boxes; read by typer when it is imported.
    os.environ["TYPER_USE_RICH"] = "0"
    import typer

    from linkerd2_py.cli.app import app
    from linkerd2_py.cli.errors import EXIT_USAGE, CliError

    if COMPLETE_VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    command = typer.main.get_command(app)
    try:
        status = command.main(list(arguments), prog_name=called, standalone_mode=False)
    except CliError as error:
        return _complain(str(error), status=error.status)
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        # typer's own usage errors; their class has moved between its releases.
        describe = getattr(error, "format_message", None)
        if describe is None:
            raise
        return _complain(_advice(error) or describe(), status=EXIT_USAGE)
    return status if isinstance(status, int) else 0


def _advice(error: Exception) -> str:
    """What to type, where a group of commands was meant and none of them named; else nothing."""
    where = getattr(error, "ctx", None)
    commands = getattr(where and where.command, "commands", None)
    if where is None or not commands or "Missing command" not in str(error):
        return ""
    called = where.command_path
    return f"Missing command: {called} takes {', '.join(commands)}; `{called} -h` tells more"


def _complain(message: str, *, status: int) -> int:
    # What it quotes may be anybody's.
    from linkerd2_py.base.logs import printable

    sys.stdout.flush()
    sys.stderr.write(f"{PROGRAM}: {printable(' '.join(message.split()))}\n")
    return status


if __name__ == "__main__":
    main()
