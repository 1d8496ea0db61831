"""Options that `install` and `upgrade` share beside the flags that are values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from linkerd2_py.cli.lifecycle.trust import ANCHORS_FLAG, CERTIFICATE_FLAG, KEY_FLAG

ValuesFiles = Annotated[
    list[str] | None,
    typer.Option(
        "--values",
        "-f",
        metavar="FILE",
        help="Values: a YAML file, an https URL, or - ; may be repeated.",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="One or several values: a.b=1,c=2."),
]
SetString = Annotated[
    list[str] | None,
    typer.Option("--set-string", metavar="PATH=WORDS", help="The same, always as text."),
]
SetFile = Annotated[
    list[str] | None,
    typer.Option("--set-file", metavar="PATH=FILE", help="The same, from what is in a file."),
]
AnchorsFile = Annotated[
    Path | None,
    typer.Option(ANCHORS_FLAG, metavar="FILE", help="Trust anchors, in PEM."),
]
CertificateFile = Annotated[
    Path | None,
    typer.Option(CERTIFICATE_FLAG, metavar="FILE", help="The issuer below one of them, in PEM."),
]
KeyFile = Annotated[
    Path | None, typer.Option(KEY_FLAG, metavar="FILE", help="The key of that issuer, in PEM.")
]
