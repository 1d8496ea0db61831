"""`get`: the pods and services that the control plane knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.api import chosen_namespace, connect
from linkerd2_py.cli.durations import short_age
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.options import AllNamespaces, ApiAddr, Namespace, Verbose
from linkerd2_py.cli.render.table import Column, render_table
from linkerd2_py.cli.resources import Resource, parse_resource

Item = Mapping[str, Any]


def complete_kinds() -> list[str]:
    """Words for shell completion."""
    return ["pods", "services"]


def get(
    resource: Annotated[
        str,
        typer.Argument(metavar="RESOURCE", help="pods or services.", autocompletion=complete_kinds),
    ],
    form: Annotated[str, typer.Option("--output", "-o", help="table, name or json.")] = "table",
    all_namespaces: AllNamespaces = False,
    namespace: Namespace = None,
    api_addr: ApiAddr = None,
    verbose: Verbose = False,
) -> None:
    """List pods or services."""
    output.one_of(form, allowed=("table", "name", "json"))
    wanted = _listed(resource)
    plural = f"{wanted.kind}s"
    with connect(api_addr, verbose=verbose) as api:
        chosen = "" if all_namespaces else chosen_namespace(namespace, target=api.target)
        items = api.get(f"/{plural}", namespace=chosen)[plural]
    found = [item for item in items if _matches(item, namespace=chosen, name=wanted.name)]
    if form == "json":
        output.write_json(found)
    elif not found:
        output.note("No resources found.")
    elif form == "name":
        output.write("\n".join(f"{item['namespace']}/{item['name']}" for item in found))
    elif wanted.kind == "pod":
        output.write(pod_table(found, namespaces=all_namespaces))
    else:
        output.write(service_table(found, namespaces=all_namespaces))


def _listed(text: str) -> Resource:
    refusal = bad_usage(f"{text!r} cannot be listed: use pods or services")
    try:
        wanted = parse_resource(text)
    except CliError as error:
        raise refusal from error
    if wanted.kind not in {"pod", "service"}:
        raise refusal
    return wanted


def pod_table(pods: Sequence[Item], *, namespaces: bool) -> str:
    """Pods as kubectl shows them, with whether each is meshed."""
    heads = ("NAME", "OWNER", "STATUS", "MESHED", "PROXY", "RESTARTS", "IP", "AGE")
    rows = [
        [
            pod["name"],
            pod["owner"],
            pod["status"],
            "yes" if pod["meshed"] else "no",
            _proxy(pod),
            str(pod["restarts"]),
            pod["ip"],
            "-" if pod["uptime_s"] is None else short_age(float(pod["uptime_s"])),
        ]
        for pod in pods
    ]
    return _table(heads, rows=rows, items=pods, namespaces=namespaces)


def service_table(services: Sequence[Item], *, namespaces: bool) -> str:
    """Services with the ports that clients use; with their addresses, where a mesh gives any."""
    addressed = any(service["cluster_ips"] or service["headless"] for service in services)
    heads = ("NAME", "CLUSTER-IP", "PORTS") if addressed else ("NAME", "PORTS")
    rows = [
        [service["name"], *([_cluster_ip(service)] if addressed else []), _ports(service)]
        for service in services
    ]
    return _table(heads, rows=rows, items=services, namespaces=namespaces)


def _table(
    heads: Sequence[str], *, rows: Sequence[list[str]], items: Sequence[Item], namespaces: bool
) -> str:
    if namespaces:
        heads = ("NAMESPACE", *heads)
        rows = [[item["namespace"], *row] for item, row in zip(items, rows, strict=True)]
    return render_table([Column(head, right=False) for head in heads], rows)


def _matches(item: Item, *, namespace: str, name: str) -> bool:
    return (not namespace or item["namespace"] == namespace) and name in {"", item["name"]}


def _proxy(pod: Item) -> str:
    if not pod["meshed"]:
        return "-"
    return "ready" if pod["proxy_ready"] else "not ready"


def _cluster_ip(service: Item) -> str:
    """In kubectl's words: the first address, `None` for a headless service."""
    if service["headless"]:
        return "None"
    return next(iter(service["cluster_ips"]), "<none>")


def _ports(service: Item) -> str:
    return ",".join(_port(port) for port in service["ports"]) or "-"


def _port(port: Any) -> str:
    if not isinstance(port, Mapping):
        return str(port)
    return f"{port['port']}/opaque" if port.get("opaque") else str(port["port"])
