"""`diagnostics proxy-metrics` and `controller-metrics`: what programs count, as they expose it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final

import typer

from linkerd2_py.base.logs import printable
from linkerd2_py.cli import PROGRAM, output
from linkerd2_py.cli.api import Api, check_namespace, connect
from linkerd2_py.cli.checks.cluster.pods import PROXY, is_meshed, name_of, status_of
from linkerd2_py.cli.cluster import Cluster
from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import EXIT_FAILURE, CliError, bad_usage
from linkerd2_py.cli.find.public_api import asks_a_cluster
from linkerd2_py.cli.options import Globals, Proxies
from linkerd2_py.cli.resources import SHORT_NAMES, Resource, parse_resources
from linkerd2_py.cli.scraping import METRICS, TIMEOUT_S, obfuscated, scrape, scrape_through
from linkerd2_py.cli.workloads import Object, asked_of, container_ports, pods_of

_WITHOUT_PODS: Final = ("authority", "service", "all")
# What ports of programs are called where they are asked how they are.
_ADMIN, _PROXY_ADMIN, _ADMIN_PORT = "admin", "linkerd-admin", 4191


def proxy_metrics(
    resource: Proxies,
    obfuscate: Annotated[
        bool, typer.Option("--obfuscate", help="Hide who is who: names in labels become hashes.")
    ] = False,
    *,
    given: Globals,
) -> None:
    """Print the metrics of every proxy of a resource, as the proxies expose them."""
    with proxies_of(resource, given=given, command="proxy-metrics") as found:
        _show_sections(found, shown=obfuscated if obfuscate else str)


@contextmanager
def proxies_of(
    resource: Sequence[str], *, given: Globals, command: str, path: str = METRICS
) -> Iterator[list[Section]]:
    """Every proxy of a resource; each can be asked for what its admin server says at `path`. CliError if
    there is none.
    """
    wanted = parse_resources(resource)
    words = f"{command} needs one pod, deployment or namespace, e.g. deploy/web"
    if len(wanted) > 1 or wanted[0].kind in _WITHOUT_PODS:
        raise bad_usage(words)
    if asks_a_cluster(given):
        check_namespace(given)
        with asked_of(given) as (cluster, asked):
            own = given.namespace or cluster.namespace
            pods = pods_of(asked, wanted[0], namespace=own)
            yield _proxies(cluster, pods, whose=f"{wanted[0]}", path=path)
        return
    if wanted[0].kind not in {"pod", "deployment", "namespace"}:
        raise bad_usage(words)
    with connect(given) as api:
        found = meshed_pods(api, resource=wanted[0], namespace=api.namespace)
    yield [
        Section(
            one["name"],
            f"ADDRESS {one['admin_addr']}",
            partial(scrape, one["admin_addr"], path=path),
        )
        for one in found
    ]


def controller_metrics(
    wait: Annotated[
        str,
        typer.Option("--wait", "-w", metavar="DURATION", help="How long each may take to answer."),
    ] = "30s",
    *,
    given: Globals,
) -> None:
    """Print the metrics of every process of a cluster's control plane."""
    limit_s = parse_duration(wait, flag="--wait")
    if not asks_a_cluster(given):
        raise CliError("controller-metrics is about a cluster, and none is asked here")
    with asked_of(given) as (cluster, asked):
        own = asked.where.control_plane
        pods = asked.listed(f"/api/v1/namespaces/{own}/pods")
        found = [
            Section(
                _name(pod),
                f"CONTAINER {container}",
                partial(_scrape, cluster, pod, port, limit_s=limit_s),
            )
            for pod in sorted(pods, key=name_of)
            for container, port in container_ports(pod, ending=_ADMIN)
        ]
        if not found:
            raise CliError(f"no process of a control plane is in the namespace {own!r}: see -L")
        _show_sections(found)


@dataclass(frozen=True, slots=True)
class Section:
    """What is printed of one program: who it is, and its metrics. CliError if there are none."""

    pod: str
    line: str
    read: Callable[[], str]


def _show_sections(sections: Sequence[Section], *, shown: Callable[[str], str] = str) -> None:
    """Whoever does not answer keeps nobody from being shown; the exit status is 1 then."""
    failed = False
    for number, section in enumerate(sections, start=1):
        head = f"#\n# POD {section.pod} ({number} of {len(sections)})\n# {section.line}\n"
        try:
            output.write(f"{head}#\n{shown(section.read())}")
        except CliError as error:
            failed = True
            output.write(f"{head}# ERROR {printable(str(error))}\n")
            output.note(f"{PROGRAM}: {printable(str(error))}")
    if failed:
        raise typer.Exit(EXIT_FAILURE)


def _proxies(cluster: Cluster, pods: Sequence[Object], *, whose: str, path: str) -> list[Section]:
    """CliError if there is none."""
    found = [
        Section(
            _name(pod),
            f"CONTAINER {PROXY}",
            partial(_scrape, cluster, pod, _admin_port(pod), path=path),
        )
        for pod in pods
        if is_meshed(pod) and status_of(pod) == "Running"
    ]
    if not found:
        raise CliError(f"no meshed pod that runs found for {whose}")
    return found


def _admin_port(pod: Object) -> int:
    named = dict(container_ports(pod, ending=_PROXY_ADMIN))
    return named.get(PROXY, _ADMIN_PORT)


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _scrape(
    cluster: Cluster, pod: Object, port: int, *, path: str = METRICS, limit_s: float = TIMEOUT_S
) -> str:
    about = pod["metadata"]
    return scrape_through(
        cluster,
        namespace=about["namespace"],
        pod=about["name"],
        port=port,
        path=path,
        limit_s=limit_s,
    )


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


def _belongs(pod: Mapping[str, Any], *, resource: Resource) -> bool:
    if resource.kind == "namespace" or not resource.name:
        return True
    if resource.kind == "pod":
        return bool(pod["name"] == resource.name)
    return bool(pod["owner"] == f"{SHORT_NAMES[resource.kind]}/{resource.name}")
