"""The options of commands that watch live traffic: which of it is meant."""

from __future__ import annotations

from typing import Annotated

import typer

from linkerd2_py.cli import completing

Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RESOURCE",
        help="Whose traffic: TYPE, TYPE NAME or TYPE/NAME; types cj deploy ds job ns po rc rs sts.",
        autocompletion=completing.resources(
            *("deployment", "pod", "namespace", "statefulset", "daemonset", "job", "cronjob"),
            *("replicaset", "replicationcontroller"),
        ),
    ),
]
To = Annotated[
    str,
    typer.Option(
        "--to", metavar="RESOURCE", help="Only requests to this; services (svc) can be named, too."
    ),
]
ToNamespace = Annotated[
    str,
    typer.Option(
        "--to-namespace", metavar="NAMESPACE", help="In which namespace that is (default: in any)."
    ),
]
MaxRps = Annotated[
    float,
    typer.Option("--max-rps", metavar="NUMBER", help="Tell of so many requests a second, at most."),
]
Scheme = Annotated[
    str, typer.Option("--scheme", metavar="SCHEME", help="Only requests of this scheme.")
]
Method = Annotated[
    str, typer.Option("--method", metavar="METHOD", help="Only requests of this method.")
]
Authority = Annotated[
    str, typer.Option("--authority", metavar="NAME", help="Only requests to this very :authority.")
]
Path = Annotated[
    str, typer.Option("--path", metavar="PREFIX", help="Only requests whose path begins so.")
]
