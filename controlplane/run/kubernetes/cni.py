"""`cni`: the agent of a node, what it sets up there, and the repair of pods that were too early."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.cni.agent import Agent, serve_agent
from linkerd2_py.controlplane.cni.fields import text
from linkerd2_py.controlplane.cni.follow import Folders
from linkerd2_py.controlplane.cni.host import Host, HostError, Installation
from linkerd2_py.controlplane.cni.repair import DATA_PLANE, Counts, Repair
from linkerd2_py.controlplane.cni.rules import Rules
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi
from linkerd2_py.controlplane.run.kubernetes.process import Process, ask_api_server
from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer
from linkerd2_py.controlplane.sources.kubernetes.reflector import Reflector, Resource

logger = logging.getLogger(__name__)

_LAST_QUESTION_S: Final = 10.0
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""Of the DaemonSet, or with it of the account that asks."""


@dataclass(frozen=True, slots=True)
class CniProcess:
    """What its flags say. `entry` is the file with our entry for the list of plugins; `node` is empty where
    nothing is to be repaired.
    """

    host: Host
    entry: Path
    socket: Path
    namespace: str
    daemon_set: str
    pod: str
    node: str = ""
    kubeconfig: Path | None = None

    async def compose(self, process: Process) -> None:
        """See `Compose`."""
        api = await ask_api_server(process, self.kubeconfig)
        installation = Installation(self.host, entry=lambda: read_entry(self.entry))
        answers = Counter(
            "linkerd_cni_requests",
            "Questions of the container runtime, and whether they went well.",
            ("command", "result"),
            registry=process.metrics,
        )
        agent = Agent(
            api,
            rules=Rules(),
            trouble=lambda: installation.problem,
            on_answer=lambda command, well: answers.labels(
                command, "success" if well else "failure"
            ).inc(),
        )
        process.health.needs.append(lambda: installation.problem)
        running = process.running
        # Whoever is called must be there first, and gone last.
        await running.enter_async_context(serve_agent(agent, self.socket))
        await running.enter_async_context(self._kept_up(installation, api))
        if self.node:
            repair = self._repair(api, installation, metrics=process.metrics)
            await running.enter_async_context(_repaired(repair, api, process, node=self.node))

    @asynccontextmanager
    async def _kept_up(self, installation: Installation, api: KubernetesApi) -> AsyncIterator[None]:
        folders = Folders([self.host.lists, self.host.programs, self.entry.parent])

        async def keep() -> None:
            while True:
                installation.look()
                await folders.changed()

        task = supervise(keep, name="cni-host")
        try:
            yield
        finally:
            await cancel_all([task])
            folders.close()
            # A node that is left without us while pods with proxies are still made would let them out.
            if await is_uninstalled(api, namespace=self.namespace, daemon_set=self.daemon_set):
                installation.put_back()
            else:
                logger.info("this node stays as it is: its pods wait for the next agent")

    def _repair(
        self, api: KubernetesApi, installation: Installation, *, metrics: CollectorRegistry
    ) -> Repair:
        def counter(name: str, what: str) -> Counter:
            return Counter(f"linkerd_cni_repair_controller_{name}", what, registry=metrics)

        return Repair(
            api,
            reporter=self.pod,
            clock=SystemClock(),
            counts=Counts(
                deleted=counter("pods_deleted", "Pods deleted, for they had no rules."),
                delete_errors=counter("pods_delete_errors", "Pods that could not be deleted."),
                event_errors=counter("events_publish_errors", "Events that were not taken."),
            ),
            is_ready=lambda: not installation.problem,
        )


async def is_uninstalled(api: KubernetesApi, *, namespace: str, daemon_set: str) -> bool:
    """Whether no other agent will come: the DaemonSet is gone or going, its namespace is, or the account that
    asks. What cannot be found out is answered with no.
    """
    asked = (
        f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{daemon_set}",
        # Of a namespace that goes, pods may go before the DaemonSet does.
        f"/api/v1/namespaces/{namespace}",
    )
    try:
        async with asyncio.timeout(_LAST_QUESTION_S):
            found = [await api.get(path, {}) for path in asked]
    except TimeoutError:
        return False
    except ApiError as error:
        if error.status not in _GONE:
            logger.warning("whether this is the end is not known: %s", error)
        return error.status in _GONE
    return any(text(one, "metadata", "deletionTimestamp") for one in found)


def read_entry(path: Path) -> Json:
    """Raises `HostError` for one that no runtime could use."""
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise HostError(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise HostError(f"{path}: it is not JSON: {error}") from error
    if not isinstance(found, dict) or found.get("type") != "linkerd-cni":
        raise HostError(f"{path}: it is no entry of the type linkerd-cni")
    return found


@asynccontextmanager
async def _repaired(
    repair: Repair, api: ApiServer, process: Process, *, node: str
) -> AsyncIterator[None]:
    chosen = (("labelSelector", DATA_PLANE), ("fieldSelector", f"spec.nodeName={node}"))
    pods = Reflector(Resource("pods", selection=chosen), api=api, sink=repair, clock=SystemClock())
    process.health.problems.append(lambda: [pods.problem] if pods.problem else [])
    tasks = [supervise(pods.run, name="cni-pods"), supervise(repair.run, name="cni-repair")]
    try:
        yield
    finally:
        await cancel_all(tasks)
