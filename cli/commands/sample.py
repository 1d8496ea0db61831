"""`sample emojivoto`: the sample application for a cluster; `sample run`: one of its programs."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Final

import typer

from linkerd2_py import __version__
from linkerd2_py.cli import completing, output
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.layout import Command, Group

app = typer.Typer(
    cls=Group,
    help="The sample application: an emoji vote in five workloads, with a fault to be found.",
    add_completion=False,
    rich_markup_mode=None,
)

_IMAGE: Final = "linkerd2-py-controller"
_PROGRAMS: Final = ("chat", "emoji", "vote-bot", "voting", "web")


@app.command("emojivoto", cls=Command)
def emojivoto(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAMESPACE", help="Where it is to live.")
    ] = "emojivoto",
    registry: Annotated[
        str, typer.Option("--registry", metavar="NAME", help="Where its image is pulled from.")
    ] = "",
    image: Annotated[
        str,
        typer.Option(
            "--image",
            metavar="IMAGE",
            help=f"All of the image's name (default: {_IMAGE} of this version).",
        ),
    ] = "",
    image_pull_policy: Annotated[
        str,
        typer.Option(
            "--image-pull-policy", metavar="Always|IfNotPresent|Never", help="When it is pulled."
        ),
    ] = "IfNotPresent",
) -> None:
    """Print its objects: … | linkerd2-py inject - | kubectl apply -f -."""
    from linkerd2_py.controlplane.local.sample.manifest import manifest

    name = "/".join(part for part in (registry.rstrip("/"), f"{_IMAGE}:{__version__}") if part)
    try:
        text = manifest(namespace=namespace, image=image or name, pull_policy=image_pull_policy)
    except ValueError as error:
        raise bad_usage(str(error)) from error
    output.write(text)


@app.command("run", cls=Command)
def run(
    program: Annotated[
        str,
        typer.Argument(
            metavar="|".join(_PROGRAMS),
            help="Which one.",
            autocompletion=completing.words(*_PROGRAMS),
        ),
    ],
) -> None:
    """Be one of its programs, as its containers are: listen at HOST and PORT, call <SERVICE>_ADDR."""
    if program not in _PROGRAMS:
        raise bad_usage(f"{program!r} is not a program of the sample: use {', '.join(_PROGRAMS)}")
    module = f"linkerd2_py.controlplane.local.sample.{program.replace('-', '_')}"
    # It has signals and a status of its own, and no use for what a command line has imported.
    os.execv(sys.executable, [sys.executable, "-m", module])  # noqa: S606
