"""Reads the metrics of every meshed pod's proxy every few seconds into the sample store, and says how that
goes.

Targets follow the mesh. Each has a task of its own, so that one that hangs delays no other; what went wrong
last is kept for the pod list and the self-check.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import httpx2

from linkerd2_py.base.clock import Clock, SystemClock
from linkerd2_py.base.names import LABEL_NAMESPACE, LABEL_POD, owner_label
from linkerd2_py.base.tasks import cancel_all, report_failure, supervise
from linkerd2_py.controlplane.mesh.changes import Change
from linkerd2_py.controlplane.mesh.objects import Key, Pod
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.metrics.embedded.exposition import ExpositionError
from linkerd2_py.controlplane.metrics.embedded.ring import SampleStore, now_ms
from linkerd2_py.controlplane.metrics.store import Report

INTERVAL_S = 2.0
# A proxy that needs longer is not well; the next turn asks again.
TIMEOUT_S = 5.0
# A proxy bounds its series; an answer beyond this is not one of a proxy.
LARGEST_ANSWER_BYTES = 16 * 1024 * 1024

logger = logging.getLogger(__name__)


class ScrapeError(Exception):
    """A turn that brought nothing usable."""


class Scraper:
    """One task for each meshed pod with an admin address, from `start` to `stop`."""

    def __init__(
        self,
        mesh: MeshStore,
        *,
        store: SampleStore,
        interval_s: float = INTERVAL_S,
        clock: Clock | None = None,
    ) -> None:
        self._mesh = mesh
        self._store = store
        self._interval_s = interval_s
        self._clock = clock or SystemClock()
        self._client = httpx2.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._targets: dict[Key, Pod] = {}
        self._reports: dict[Key, Report] = {}

    async def reports(self) -> dict[Key, Report]:
        """The last report of each pod that is scraped now."""
        return {pod: self._reports.get(pod, Report()) for pod in self._targets}

    @property
    def interval_s(self) -> float:
        """The time between two turns of one pod."""
        return self._interval_s

    def start(self) -> None:
        """Scrape the pods there are, and those that come."""
        self._subscription = self._mesh.subscribe(self._on_changes)
        for pod in self._mesh.mesh.pods.values():
            self._follow(pod)
        self._forgetting = supervise(self._forget, name="forget-samples")

    async def stop(self) -> None:
        """Stop scraping. What was read stays in the store."""
        self._subscription.close()
        await cancel_all([*self._tasks.values(), self._forgetting])
        await self._client.aclose()

    async def scrape(self, pod: Pod) -> None:
        """One turn: read a pod's metrics into the store, or a gap and the reason."""
        at_ms = self._now_ms()
        try:
            text = await self._read(f"http://{pod.admin_addr}/metrics")
            self._store.append(pod.key, labels=_labels(pod), text=text, at_ms=at_ms)
        except Exception as error:  # noqa: BLE001  # whatever it answers, its own turn failed
            if not isinstance(error, (ScrapeError, ExpositionError)):
                report_failure(f"scrape {pod.namespace}/{pod.name}", error)
            self._store.leave_gap(pod.key, at_ms=at_ms)
            self._fail(pod, reason=str(error) or type(error).__name__)
        else:
            self._reports[pod.key] = Report(last_success=at_ms / 1000)

    def _now_ms(self) -> int:
        return now_ms(self._clock)

    async def _read(self, url: str) -> str:
        try:
            async with asyncio.timeout(TIMEOUT_S), self._client.stream("GET", url) as response:
                if response.status_code != 200:
                    raise ScrapeError(f"{url}: status {response.status_code}")
                content = await _bounded(response, url=url)
            return content.decode("utf-8")
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise ScrapeError(f"{url}: {str(error) or type(error).__name__}") from error
        except UnicodeDecodeError as error:
            raise ScrapeError(f"{url}: is not UTF-8 text") from error

    def _fail(self, pod: Pod, *, reason: str) -> None:
        before = self._reports.get(pod.key, Report())
        if not before.failure:
            logger.info("cannot read the metrics of %s/%s: %s", pod.namespace, pod.name, reason)
        self._reports[pod.key] = replace(before, failure=reason)

    def _on_changes(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change.after, Pod):
                self._follow(change.after)
            elif isinstance(change.before, Pod):
                self._leave(change.before.key)

    def _follow(self, pod: Pod) -> None:
        if not (pod.meshed and pod.admin_addr):
            self._leave(pod.key)
            return
        self._targets[pod.key] = pod
        if pod.key not in self._tasks:
            name = f"scrape {pod.namespace}/{pod.name}"
            self._tasks[pod.key] = supervise(partial(self._repeat, pod.key), name=name)

    def _leave(self, key: Key) -> None:
        if self._targets.pop(key, None) is None:
            return
        self._tasks.pop(key).cancel()
        self._reports.pop(key, None)
        self._store.leave_gap(key, at_ms=self._now_ms())

    async def _forget(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            self._store.forget(now_ms=self._now_ms())

    async def _repeat(self, key: Key) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.scrape(self._targets[key])
            # Turns that a slow answer has used up are left out, not caught up with.
            due = max(due + self._interval_s, loop.time())
            await asyncio.sleep(due - loop.time())


async def _bounded(response: httpx2.Response, *, url: str) -> bytearray:
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > LARGEST_ANSWER_BYTES:
            raise ScrapeError(f"{url}: more than {LARGEST_ANSWER_BYTES} bytes")
    return content


def _labels(pod: Pod) -> dict[str, str]:
    labels = {LABEL_NAMESPACE: pod.namespace, LABEL_POD: pod.name}
    if pod.owner:
        labels[owner_label(pod.owner.kind)] = pod.owner.name
    return labels
