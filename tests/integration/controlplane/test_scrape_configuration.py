"""The relabeling of the jobs, by a real Prometheus: targets that say what discovery in Kubernetes says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from linkerd2_py.charts.observe.scraping import jobs, meta_labels
from linkerd2_py.controlplane.public_api.server import WebServer
from tests.support.prometheus import needs_prometheus, prometheus
from tests.support.wait import eventually_async, within

pytestmark = needs_prometheus

TEXT = """\
request_total{direction="inbound",tls="true",authority="web.shop"} 1
request_total{direction="inbound",tls="true",authority="[::1]"} 1
request_total{direction="inbound",tls="true",authority="web.shop:8080"} 1
response_total{direction="outbound",deployment="said",pod="said",namespace="said"} 1
"""
PROXY = {"container": "linkerd-proxy", "port_name": "linkerd-admin"}
CONTROL_PLANE = {"linkerd.io/control-plane-ns": "mesh"}
OWN = {
    "linkerd.io/proxy-deployment": "web",
    "linkerd.io/workload-ns": "shop",
    "app.kubernetes.io/name": "web",
    "direction": "sideways",
    "tls": "never",
    "pod": "other",
    "deployment": "other",
    **CONTROL_PLANE,
}


def proxy(pod: str, labels: dict[str, str], **more: str) -> dict[str, str]:
    """Of a pod in the namespace shop."""
    said = {"namespace": "shop", "pod": pod, **PROXY}
    phase = more.pop("phase", "")
    made = meta_labels(**{**said, **more}, labels=labels)
    return made | ({"__meta_kubernetes_pod_phase": phase} if phase else {})


async def metrics(_request: Request) -> Response:
    return PlainTextResponse(TEXT)


async def labels_of(folder: Path, pods: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The labels of the targets that are scraped, and those of series."""
    server = WebServer(Starlette(routes=[Route("/metrics", metrics)]))
    address = await server.start()
    # Each a target of its own, by a parameter that nobody looks at.
    targets = [
        {"targets": [address], "labels": {**one, "__param_number": str(number)}}
        for number, one in enumerate(pods)
    ]
    (folder / "pods.json").write_text(json.dumps(targets))
    found = [{"files": [str(folder / "pods.json")]}]
    config = {
        "global": {"scrape_interval": "100ms", "scrape_timeout": "100ms"},
        "scrape_configs": jobs(
            control_plane="mesh", discovery="file_sd_configs", proxies=found, controllers=found
        ),
    }
    try:
        async with prometheus(folder, config) as running:

            async def active() -> list[dict[str, Any]]:
                targets = (await running.ask("targets", state="active"))["activeTargets"]
                up = all(one["health"] == "up" for one in targets)
                return targets if targets and up else []

            targets_now = await eventually_async(active, deadline_s=30, what="targets")
            series = [
                one
                for name in ("request_total", "response_total")
                for one in await running.ask("series", **{"match[]": name})
            ]
            return [one["labels"] for one in targets_now] + series
    finally:
        await server.stop()


async def test_who_is_scraped_and_what_it_is_called(tmp_path: Path) -> None:
    pods = [
        proxy("web-0", OWN),
        proxy("job-0", {"linkerd.io/proxy-job": "batch", "job": "mine", **CONTROL_PLANE}),
        proxy("other-mesh", {"linkerd.io/control-plane-ns": "linkerd"}),
        proxy("app-port", CONTROL_PLANE, container="app"),
        proxy("ended", CONTROL_PLANE, phase="Succeeded"),
        proxy("destination", CONTROL_PLANE, container="destination", port_name="follow-admin"),
    ]
    async with within(55):
        found = await labels_of(tmp_path, pods)
    targets = {one.get("pod"): one for one in found if "__name__" not in one}
    assert targets.keys() == {"web-0", "job-0", "destination"}
    web = {key: value for key, value in targets["web-0"].items() if key != "instance"}
    assert web == {
        "job": "linkerd-proxy",
        "namespace": "shop",
        "pod": "web-0",
        "deployment": "web",
        "workload_ns": "shop",
        "control_plane_ns": "mesh",
        "app_kubernetes_io_name": "web",
    }
    job = targets["job-0"]
    assert (job["job"], job["k8s_job"]) == ("linkerd-proxy", "batch")
    assert targets["destination"]["job"] == "linkerd-controller"
    assert targets["destination"]["component"] == "destination"

    series = [one for one in found if one.get("__name__") and one["pod"] == "web-0"]
    requests = [one for one in series if one["__name__"] == "request_total"]
    assert {one["authority"] for one in requests} == {"web.shop:80", "[::1]:80", "web.shop:8080"}
    assert {(one["direction"], one["tls"]) for one in requests} == {("inbound", "true")}
    # What a proxy says of its pod does not stand for what is known of it.
    (response,) = [one for one in series if one["__name__"] == "response_total"]
    assert (response["deployment"], response["exported_deployment"]) == ("web", "said")
