"""`diagnostics`: what one proxy counts, and what discovery answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from linkerd2_py.cli import completing, output
from linkerd2_py.cli.api import Api, connect
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.layout import Command, Group
from linkerd2_py.cli.options import Globals, output_option, takes_globals
from linkerd2_py.cli.render.table import Column, render_table
from linkerd2_py.cli.resources import SHORT_NAMES, Resource, parse_resources

app = typer.Typer(
    cls=Group,
    help="Look inside: proxy-metrics, endpoints.",
    add_completion=False,
    rich_markup_mode=None,
)
_SECTION = "#\n# POD {pod} ({number} of {count})\n# ADDRESS {address}\n#\n"


@app.command("proxy-metrics", cls=Command)
@takes_globals
def proxy_metrics(
    resource: Annotated[
        list[str],
        typer.Argument(
            metavar="RESOURCE",
            help="po/NAME, deploy/NAME or ns/NAME.",
            autocompletion=completing.resources("po", "deploy", "ns"),
        ),
    ],
    *,
    given: Globals,
) -> None:
    """Print the metrics of every proxy of a resource, as the proxies expose them."""
    wanted = parse_resources(resource)
    if len(wanted) > 1 or wanted[0].kind not in {"pod", "deployment", "namespace"}:
        raise bad_usage("proxy-metrics needs one pod, deployment or namespace, e.g. deploy/web")
    with connect(given) as api:
        chosen = api.namespace
        pods = meshed_pods(api, resource=wanted[0], namespace=chosen)
    for number, pod in enumerate(pods, start=1):
        head = _SECTION.format(
            pod=pod["name"], number=number, count=len(pods), address=pod["admin_addr"]
        )
        output.write(head + scrape(pod["admin_addr"]))


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
    *,
    given: Globals,
) -> None:
    """Show the endpoints that discovery gives for authorities; `web-svc:80` is filled up."""
    output.one_of(form, allowed=("table", "json"))
    with connect(given) as api:
        chosen = api.namespace
        full = [qualified(authority, namespace=chosen) for authority in authorities]
        found = api.get("/endpoints", authority=full)["endpoints"]
    if form == "json":
        output.write_json(found)
    elif not found:
        output.note("No endpoints found.")
    else:
        output.write(endpoint_table(found))


def endpoint_table(found: list[Mapping[str, Any]]) -> str:
    """One line per endpoint."""
    heads = ("NAMESPACE", "IP", "PORT", "POD", "SERVICE")
    rows = [[str(item[head.lower()]) for head in heads] for item in found]
    return render_table([Column(head, right=False) for head in heads], rows)


def qualified(authority: str, *, namespace: str) -> str:
    """`web-svc` or `web-svc:80` with the rest of its name; a name with dots stays as it is."""
    name, colon, port = authority.partition(":")
    if not name or (colon and not port.isdecimal()):
        raise bad_usage(f"{authority!r} is not an authority: write NAME:PORT")
    full = name if "." in name else f"{name}.{namespace}.svc.cluster.local"
    return f"{full}:{port or 80}"


def meshed_pods(api: Api, *, resource: Resource, namespace: str) -> list[Mapping[str, Any]]:
    """The pods of a resource that have a proxy. CliError if there is none."""
    space = resource.name if resource.kind == "namespace" else namespace
    pods = api.get("/pods", namespace=space)["pods"]
    chosen = [pod for pod in pods if _belongs(pod, resource=resource)]
    meshed = [pod for pod in chosen if pod["admin_addr"]]
    if not meshed:
        what = "no meshed pod" if chosen else "no pod"
        raise CliError(f"{what} found for {resource} in the namespace {space!r}")
    return meshed


def scrape(address: str) -> str:
    """The text of a proxy's /metrics. CliError if it does not answer."""
    import httpx2

    try:
        with httpx2.Client(trust_env=False, timeout=10) as client:
            response = client.get(f"http://{address}/metrics")
            response.raise_for_status()
            return str(response.text)
    except httpx2.HTTPError as error:
        raise CliError(f"the proxy at {address} does not answer: {error}") from error


def _belongs(pod: Mapping[str, Any], *, resource: Resource) -> bool:
    if resource.kind == "namespace" or not resource.name:
        return True
    if resource.kind == "pod":
        return bool(pod["name"] == resource.name)
    return bool(pod["owner"] == f"{SHORT_NAMES[resource.kind]}/{resource.name}")
