"""`diagnostics`: what one proxy counts, and what proxies are told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Any, Final

import typer

from linkerd2_py.cli import completing, metrics, output, proxy_endpoints
from linkerd2_py.cli.errors import bad_usage
from linkerd2_py.cli.layout import Command, Group
from linkerd2_py.cli.options import Globals, output_option, takes_globals
from linkerd2_py.cli.proxy_api import DESTINATION_PORT, POLICY_PORT, Said, proxy_api
from linkerd2_py.cli.render.table import Column, render_table
from linkerd2_py.cli.resources import (
    is_kind,
    parse_resource,
)

app = typer.Typer(
    cls=Group,
    help="Look inside: proxy-metrics, proxy-endpoints, controller-metrics, endpoints, profile, policy.",
    add_completion=False,
    rich_markup_mode=None,
)
HIGHEST_PORT: Final = 65535
_ASKER: Final = "default:diagnostics"
Token = Annotated[
    str, typer.Option("--token", metavar="TOKEN", help="The context token of who asks.")
]
DestinationPod = Annotated[
    str,
    typer.Option("--destination-pod", metavar="POD", help="Ask this pod of the cluster's."),
]
Addr = Annotated[
    str,
    typer.Option(
        "--addr", metavar="HOST:PORT", help="Where proxies ask, if it is not in a cluster."
    ),
]


app.command("proxy-metrics", cls=Command)(takes_globals(metrics.proxy_metrics))
app.command("controller-metrics", cls=Command)(takes_globals(metrics.controller_metrics))
app.command("proxy-endpoints", cls=Command)(takes_globals(proxy_endpoints.proxy_endpoints))


@app.command("endpoints", cls=Command)
@takes_globals
def endpoints(
    authorities: Annotated[
        list[str],
        typer.Argument(
            metavar="AUTHORITY",
            help="NAME:PORT, or NAME.NAMESPACE.svc.cluster.local:PORT.",
            autocompletion=completing.authorities,
        ),
    ],
    form: Annotated[str, output_option("table", "json")] = "table",
    token: Token = "",
    pod: DestinationPod = "",
    addr: Addr = "",
    *,
    given: Globals,
) -> None:
    """Show the endpoints that a proxy is told for authorities; `web-svc:80` is filled up."""
    from linkerd2_py.cli.questions import endpoints_of

    output.one_of(form, allowed=("table", "json"))
    with proxy_api(given, Said(addr, pod)) as api:
        full = [qualified(authority, namespace=api.namespace) for authority in authorities]
        found = api.ask(partial(endpoints_of, authorities=full, token=token), port=DESTINATION_PORT)
    if form == "json":
        output.write_json(found)
    elif not found:
        output.note("No endpoints found.")
    else:
        output.write(endpoint_table(found))


@app.command("profile", cls=Command)
@takes_globals
def profile(
    address: Annotated[
        str,
        typer.Argument(metavar="ADDRESS", help="IP:PORT of a service or pod, or an authority."),
    ],
    token: Token = "",
    pod: DestinationPod = "",
    addr: Addr = "",
    *,
    given: Globals,
) -> None:
    """Show the profile that a proxy is told for an address or an authority, as JSON."""
    from linkerd2_py.cli.questions import profile_of

    with proxy_api(given, Said(addr, pod)) as api:
        full = filled_up(address, namespace=api.namespace)
        found = api.ask(partial(profile_of, path=full, token=token), port=DESTINATION_PORT)
    output.write_json(found)


@app.command("policy", cls=Command)
@takes_globals
def policy(
    resource: Annotated[
        str,
        typer.Argument(
            metavar="RESOURCE",
            help="po/NAME: who may call it. svc/NAME: how calls to it are treated.",
            autocompletion=completing.resources("po", "svc"),
        ),
    ],
    port: Annotated[int, typer.Argument(metavar="PORT", help="Which port of it.")],
    form: Annotated[str, output_option("yaml", "json")] = "yaml",
    token: Annotated[
        str,
        typer.Option(metavar="WORKLOAD", help="Who asks how calls are treated: NAMESPACE:POD."),
    ] = _ASKER,
    pod: DestinationPod = "",
    addr: Addr = "",
    *,
    given: Globals,
) -> None:
    """Show the policy that a proxy is told for a port of a pod or of a service."""
    from linkerd2_py.cli.questions import inbound_policy, outbound_policy

    output.one_of(form, allowed=("yaml", "json"))
    if "/" not in resource and not is_kind(resource):
        raise bad_usage(f"{resource!r} is no resource: write po/{resource} or svc/{resource}")
    wanted = parse_resource(resource)
    if wanted.kind not in {"pod", "service"} or not wanted.name:
        raise bad_usage(f"{resource!r} has no policy of its own: use po/NAME or svc/NAME")
    if not 1 <= port <= HIGHEST_PORT:
        raise bad_usage(f"{port} is not a port: write one of 1 to {HIGHEST_PORT}")
    with proxy_api(given, Said(addr, pod)) as api:
        if wanted.kind == "pod":
            workload = f"{api.namespace}:{wanted.name}"
            ask = partial(inbound_policy, workload=workload, port=port)
        else:
            authority = f"{wanted.name}.{api.namespace}.svc.cluster.local:{port}"
            ask = partial(outbound_policy, authority=authority, token=token)
        found = api.ask(ask, port=POLICY_PORT)
    if form == "json":
        output.write_json(found)
    else:
        output.write_yaml(found)


def endpoint_table(found: Sequence[Mapping[str, Any]]) -> str:
    """One line per endpoint, and a table for each namespace."""
    heads = ("NAMESPACE", "IP", "PORT", "POD", "SERVICE")
    columns = [Column(head, right=False) for head in heads]
    rows = [[str(item[head.lower()]) for head in heads] for item in found]
    return render_table(columns, rows)


def filled_up(address: str, *, namespace: str) -> str:
    """What has an IP address stays as it is; see `qualified` for the rest."""
    try:
        split_ip(address)
    except ValueError:
        return qualified(address, namespace=namespace)
    return address


def split_ip(address: str) -> None:
    """ValueError unless it is IP:PORT."""
    host, colon, _ = address.rpartition(":")
    ip_address(host.strip("[]") if colon else address)


def qualified(authority: str, *, namespace: str) -> str:
    """`web-svc` or `web-svc:80` with the rest of its name; a name with dots stays as it is."""
    name, colon, port = authority.partition(":")
    if not name or (colon and not port.isdecimal()):
        raise bad_usage(f"{authority!r} is not an authority: write NAME:PORT")
    full = name if "." in name else f"{name}.{namespace}.svc.cluster.local"
    return f"{full}:{port or 80}"
