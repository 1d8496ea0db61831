"""`profile`: a ServiceProfile from what describes a service already."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Annotated, Any, Final

import typer

from linkerd2_py.base.names import DEFAULT_NAMESPACE
from linkerd2_py.cli import completing, output
from linkerd2_py.cli.api import check_namespace
from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.find import cluster
from linkerd2_py.cli.options import Globals, output_option
from linkerd2_py.cli.profiles.profile import (
    Route,
    Service,
    profile_of,
    read_input,
    template_of,
)

_FORMS: Final = ("yaml", "json")
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_ENDING: Final = re.compile(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?")
_DOMAIN: Final = "cluster.local"


def profile(
    service: Annotated[
        str,
        typer.Argument(metavar="SERVICE", help="Its name.", autocompletion=completing.services),
    ],
    template: Annotated[
        bool, typer.Option("--template", help="One to be filled in, with words about each field.")
    ] = False,
    open_api: Annotated[
        str,
        typer.Option("--open-api", metavar="FILE", help="From an OpenAPI document; - reads it."),
    ] = "",
    proto: Annotated[
        str, typer.Option("--proto", metavar="FILE", help="From the services of a .proto file.")
    ] = "",
    tap: Annotated[
        str,
        typer.Option(
            "--tap", metavar="RESOURCE", help="From the live traffic to this, as deploy/web."
        ),
    ] = "",
    tap_duration: Annotated[
        str, typer.Option("--tap-duration", metavar="DURATION", help="How long it is watched.")
    ] = "5s",
    tap_route_limit: Annotated[
        int, typer.Option("--tap-route-limit", metavar="NUMBER", help="How many routes, at most.")
    ] = 20,
    ignore_cluster: Annotated[
        bool, typer.Option("--ignore-cluster", help="Do not ask a cluster what its names end with.")
    ] = False,
    form: Annotated[str, output_option(*_FORMS)] = "yaml",
    *,
    given: Globals,
) -> None:
    """Print a ServiceProfile of a service, to be applied to a cluster.

    \b
    Examples:
      profile -n emojivoto --open-api web.swagger web-svc | kubectl apply -f -
      profile -n emojivoto --proto Voting.proto voting-svc
      profile -n emojivoto --tap deploy/web --tap-duration 30s web-svc
    """
    output.one_of(form, allowed=_FORMS)
    check_namespace(given)
    if sum((template, bool(open_api), bool(proto), bool(tap))) != 1:
        raise bad_usage("give one of --template, --open-api FILE, --proto FILE or --tap RESOURCE")
    seconds = parse_duration(tap_duration, flag="--tap-duration")
    if tap_route_limit < 1 or seconds <= 0:
        raise bad_usage("--tap-duration and --tap-route-limit must be more than nothing")
    if not _NAME.match(service):
        raise bad_usage(f"{service!r} is not the name of a service: write it without its namespace")
    meant = _service(service, given, ignore_cluster=ignore_cluster)
    if tap:
        routes, where = _watched(tap, given, seconds=seconds, limit=tap_route_limit)
        _show(profile_of(replace(meant, namespace=where), routes), form=form)
    elif template:
        _show_template(template_of(meant), form=form)
    elif open_api:
        from linkerd2_py.cli.profiles.openapi import openapi_routes

        routes = openapi_routes(read_input(open_api), source=open_api)
        _show(profile_of(meant, routes), form=form)
    else:
        from linkerd2_py.cli.profiles.protobuf import protobuf_routes

        routes = protobuf_routes(read_input(proto), source=proto)
        _show(profile_of(meant, routes), form=form)


def _watched(
    resource: str, given: Globals, *, seconds: float, limit: int
) -> tuple[list[Route], str]:
    """The routes that were seen, and in which namespace."""
    from linkerd2_py.cli.profiles.live import live_routes
    from linkerd2_py.cli.watching import question, watching

    source = watching(given)
    try:
        asked = question([resource], namespace=source.namespace)
        found = source.run(live_routes(source, asked, seconds=seconds, limit=limit))
        return found, source.namespace
    finally:
        source.close()


def _service(name: str, given: Globals, *, ignore_cluster: bool) -> Service:
    """Where a cluster is spoken of, it says what is not given. CliError where it cannot be asked."""
    if ignore_cluster or given.api_addr or not cluster.is_spoken_of(given):
        return Service(name, given.namespace or DEFAULT_NAMESPACE, _DOMAIN)
    from linkerd2_py.charts.paths import look_up
    from linkerd2_py.cli.checks.cluster.asked import Asked, Where
    from linkerd2_py.cli.cluster import Cluster

    found = Cluster(cluster.kubeconfig(given), given)
    try:
        asked = Asked(lambda: found, where=Where(cluster.where(given), ""))
        domain = str(look_up(asked.values, "clusterDomain") or _DOMAIN)
        if not _ENDING.fullmatch(domain):
            raise CliError(f"the cluster's clusterDomain {domain!r} is no name: --ignore-cluster")
        return Service(name, given.namespace or found.namespace, domain)
    finally:
        found.close()


def _show(found: dict[str, Any], *, form: str) -> None:
    if form == "json":
        output.write(json.dumps(found, ensure_ascii=False, separators=(",", ":")))
    else:
        output.write_yaml(found)


def _show_template(text: str, *, form: str) -> None:
    if form == "yaml":
        output.write(text)
        return
    import yaml

    _show(yaml.safe_load(text), form=form)
