"""Pods, what owns them, and services as kubectl shows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linkerd2_py.cli.durations import short_age
from linkerd2_py.cli.render.table import Column, render_table

NOTHING: Final = "-"
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GetStyle:
    """What to show beside the most important; `prefix` stands before names where several kinds are shown."""

    wide: bool = False
    namespaces: bool = False
    prefix: str = ""


PLAIN: Final = GetStyle()
Head = tuple[str, Callable[[Item], str]]


def pod_table(pods: Sequence[Item], *, style: GetStyle = PLAIN) -> str:
    """One line a pod; its REASON where one is not ready or was started again."""
    heads: list[Head] = [
        ("READY", lambda pod: _yes(pod["ready"])),
        ("STATUS", lambda pod: str(pod["status"])),
        ("MESHED", lambda pod: _yes(pod["meshed"])),
        ("PROXY", _proxy),
        ("RESTARTS", _restarts),
        ("AGE", lambda pod: _age(pod["uptime_s"])),
        ("IP", lambda pod: str(pod["ip"])),
        ("OWNER", lambda pod: str(pod["owner"])),
    ]
    if style.wide:
        heads += [
            ("IPV6", lambda pod: pod["ip6"] or NOTHING),
            ("ADMIN", lambda pod: pod["admin_addr"] or NOTHING),
            ("VERSION", lambda pod: pod["proxy_version"] or NOTHING),
            ("IDENTITY", lambda pod: pod["identity"] or NOTHING),
        ]
    if any(map(_reason, pods)):
        heads.append(("REASON", lambda pod: _reason(pod) or NOTHING))
    return _table(heads, items=pods, style=style)


def workload_table(workloads: Sequence[Item], *, style: GetStyle = PLAIN) -> str:
    """One line a workload: how many of its pods are ready, of how many that are wanted."""
    heads: list[Head] = [
        ("READY", lambda one: f"{one['ready']}/{one['replicas']}"),
        ("MESHED", lambda one: _yes(one["meshed"])),
        ("RESTARTS", lambda one: str(one["restarts"])),
    ]
    if style.wide:
        heads.append(("SELECTOR", _selector))
    return _table(heads, items=workloads, style=style)


def service_table(services: Sequence[Item], *, style: GetStyle = PLAIN) -> str:
    """Services with the ports that clients use; with their addresses, where a mesh gives any."""
    heads: list[Head] = []
    if any(service["cluster_ips"] or service["headless"] for service in services):
        heads.append(("CLUSTER-IP", lambda service: _cluster_ip(service, wide=style.wide)))
    heads.append(("PORTS", _ports))
    if style.wide:
        heads += [("TARGET-PORTS", _target_ports), ("SELECTOR", _selector)]
    return _table(heads, items=services, style=style)


def _table(heads: Sequence[Head], *, items: Sequence[Item], style: GetStyle) -> str:
    named: list[Head] = [("NAMESPACE", lambda item: str(item["namespace"]))] * style.namespaces
    named.append(("NAME", lambda item: f"{style.prefix}{item['name']}"))
    rows = [[text(item) for _, text in (*named, *heads)] for item in items]
    return render_table([Column(head, right=False) for head, _ in (*named, *heads)], rows)


def _yes(is_so: bool) -> str:  # a word for a value
    return "yes" if is_so else "no"


def _age(seconds: float | None) -> str:
    return NOTHING if seconds is None else short_age(float(seconds))


def _proxy(pod: Item) -> str:
    if not pod["meshed"]:
        return NOTHING
    return "ready" if pod["proxy_ready"] else "not ready"


def _restarts(pod: Item) -> str:
    """As kubectl: with how long ago the last one was."""
    ago = pod["since_last_exit_s"]
    return f"{pod['restarts']}" if ago is None else f"{pod['restarts']} ({short_age(ago)} ago)"


def _reason(pod: Item) -> str:
    """Why it is not ready, else why it was last started again."""
    return str(pod["problem"] or pod["last_exit"])


def _cluster_ip(service: Item, *, wide: bool) -> str:
    """In kubectl's words: the first address, `None` for a headless service."""
    if service["headless"]:
        return "None"
    ips = service["cluster_ips"]
    return ",".join(ips if wide else ips[:1]) or "<none>"


def _ports(service: Item) -> str:
    return ",".join(_port(port) for port in service["ports"]) or NOTHING


def _port(port: Item) -> str:
    return f"{port['port']}/opaque" if port["opaque"] else str(port["port"])


def _target_ports(service: Item) -> str:
    return ",".join(str(port["target_port"]) for port in service["ports"]) or NOTHING


def _selector(item: Item) -> str:
    return ",".join(f"{key}={value}" for key, value in item["labels"].items()) or NOTHING
