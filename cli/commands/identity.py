"""`identity`: the certificates that the proxies of pods present."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from linkerd2_py.cli import PROGRAM, completing, output
from linkerd2_py.cli.api import connect
from linkerd2_py.cli.errors import EXIT_FAILURE, CliError, bad_usage
from linkerd2_py.cli.layout import Command
from linkerd2_py.cli.options import Globals, output_option, takes_globals
from linkerd2_py.cli.resources import parse_resource

Presented = Mapping[str, Any]
ROTATION: Final = "rotate-anchors"


class Layout(Command):
    """A command of pods, and beside it one with a name of its own: a pod called like that is `po/NAME`."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> Any:
        """Of the other command where its name is among the words."""
        if ROTATION not in args:
            return super().make_context(info_name, args, parent=parent, **extra)
        from linkerd2_py.cli.commands.rotate_anchors import rotate_anchors

        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
        alone.command(ROTATION, cls=Command, context_settings=settings)(
            takes_globals(rotate_anchors)
        )
        command = typer.main.get_command(alone)
        rest = list(args)
        rest.remove(ROTATION)
        return command.make_context(f"{info_name} {ROTATION}", rest, parent=parent, **extra)


def identity(
    pods: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="POD",
            help="NAME or po/NAME; all meshed pods if none is given.",
            autocompletion=completing.pods,
        ),
    ] = None,
    form: Annotated[str, output_option("text", "pem")] = "text",
    *,
    given: Globals,
) -> None:
    """Show the certificate that each pod's proxy presents; exit status 1 if one presents none.

    The control plane asks each proxy for it, and verifies it by the mesh's trust anchors. `identity
    rotate-anchors -h` tells how these are exchanged.
    """
    output.one_of(form, allowed=("text", "pem"))
    names = [pod_name(word) for word in pods or []]
    with connect(given) as api:
        chosen = api.namespace
        found = api.get("/identity", namespace=chosen, pod=names)["pods"]
    if not found:
        raise CliError(f"no meshed pod found in the namespace {chosen!r}")
    good = [presented for presented in found if not presented["problem"]]
    _show(good, pem=form == "pem")
    if any(not presented["verified"] for presented in good):
        output.note("Not verified: the control plane has no trust anchors.")
    _complain([presented for presented in found if presented["problem"]])


def pod_name(word: str) -> str:
    """`web-0` and `po/web-0` are one pod. CliError for anything else."""
    if "/" not in word:
        return word
    resource = parse_resource(word)
    if resource.kind != "pod" or not resource.name:
        raise bad_usage(f"{word!r} is not a pod: write NAME or po/NAME")
    return resource.name


def _show(found: Sequence[Presented], *, pem: bool) -> None:
    from linkerd2_py.cli.render.certificate import certificate_text

    if pem:
        output.write("".join(presented["certificate"] for presented in found))
        return
    texts = [
        f"POD {presented['pod']} ({number} of {len(found)})\n\n{certificate_text(presented['certificate'])}\n"
        for number, presented in enumerate(found, start=1)
    ]
    output.write("\n".join(texts))


def _complain(found: Sequence[Presented]) -> None:
    """One line for each that presents none, or a wrong one."""
    for presented in found:
        what = f"{presented['namespace']}/{presented['pod']} {presented['problem']}"
        output.note(f"{PROGRAM}: {what}")
    if found:
        raise typer.Exit(EXIT_FAILURE)
