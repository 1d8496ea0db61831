"""One replica: its proxy and its program, started in that order, and whether both are ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Final

from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.local.place.env import DRAIN_S
from linkerd2_py.controlplane.local.place.plan import PodPlan
from linkerd2_py.controlplane.local.programs.container import Container
from linkerd2_py.controlplane.local.programs.of_pod import (
    APP_GRACE_S,
    Surroundings,
    app_program,
    init_program,
    proxy_program,
)
from linkerd2_py.controlplane.local.programs.probe import Probe
from linkerd2_py.controlplane.local.programs.process import Program
from linkerd2_py.controlplane.local.supervise.silence import Silence
from linkerd2_py.controlplane.mesh.objects import PodStatus
from linkerd2_py.controlplane.sources.local.replica import Replica

PROBE_WAITING_S: Final = 0.1
PROBE_READY_S: Final = 2.0
PROBE_FAILURES: Final = 3
"""A program that runs is called not ready only after this many silent probes in a row."""
DEREGISTER_S: Final = 1.0
"""Between leaving the mesh and closing the listeners: every client has heard of it by then."""


class PodRunner:
    """Carries out a plan. `on_change` is called when `replica`, `ready` or `problem` may differ."""

    def __init__(
        self, plan: PodPlan, *, around: Surroundings, on_change: Callable[[], None]
    ) -> None:
        self.plan = plan
        self._around = around
        self._on_change = on_change
        self._wake = asyncio.Event()
        self._failures = 0
        self._silence = Silence(clock=around.clock)
        self._terminating = False
        self.ready = False
        self._proxy = (
            self._container(proxy_program(plan, around=around)) if plan.spec.meshed else None
        )
        self._app = self._container(app_program(plan, around=around))
        self._inits = [
            self._container(init_program(step, plan, around=around), once=True)
            for step in plan.inits
        ]
        self._kept: dict[Container, asyncio.Task[None]] = {}
        self._started = around.clock.wall()
        self._watching = supervise(self._watch, name=f"pod {plan.name}")

    @property
    def problem(self) -> str:
        """Why it is not ready, in one line; empty while nothing is known to be wrong."""
        for step, init in zip(self.plan.inits, self._inits, strict=True):
            if init.problem:
                return f"{step.name} {init.problem}"
        if self._proxy is not None and self._proxy.problem:
            return f"proxy {self._proxy.problem}"
        return self._app.problem or self._silence.reason

    @property
    def stalled(self) -> bool:
        """Whether its programs run and it has not been ready for so long that somebody should look."""
        return not self.ready and self._silence.stalled

    @property
    def failed(self) -> bool:
        """Whether waiting will not help: a program is missing or ends again and again."""
        return not self.ready and any(one.crash_looping for _, one in self._all())

    def _all(self) -> Iterator[tuple[str, Container]]:
        """Its containers in the order in which they start, by what a person calls them."""
        for step, init in zip(self.plan.inits, self._inits, strict=True):
            yield step.name, init
        if self._proxy is not None:
            yield "proxy", self._proxy
        yield "program", self._app

    @property
    def replica(self) -> Replica:
        """What the mesh is told of it."""
        what, last = max(self._all(), key=lambda named: named[1].last_exit_at)
        return Replica(
            namespace=self.plan.spec.namespace,
            name=self.plan.name,
            workload=self.plan.spec.name,
            ip=self.plan.ip,
            ports=self.plan.ports,
            ready=self.ready,
            meshed=self.plan.spec.meshed,
            admin_addr=self.plan.admin_addr,
            tap_addr=self.plan.tap_addr,
            status=self._status(),
            restarts=sum(one.restarts for _, one in self._all()),
            started=self._started,
            ip6=self.plan.ip6,
            intercepted=self.plan.intercepted,
            skipped_ports=self.plan.skipped_ports,
            service_account=self.plan.spec.service_account,
            identity=self.plan.identity,
            inbound_port=self.plan.inbound_port,
            problem=self.problem,
            last_exit=f"{what} {last.last_exit}" if last.last_exit else "",
            last_exit_at=last.last_exit_at,
            inbound=self.plan.inbound,
            weight=self.plan.spec.weight(self.plan.number),
            zone=self.plan.zone,
        )

    async def stop(self, *, drain: bool) -> None:
        """End both programs. With `drain`, clients leave first and what is in flight finishes."""
        self._terminating = True
        await cancel_all([self._watching])
        served = self.ready and bool(self.plan.ports)
        self._set_ready(ready=False)
        if drain and served:
            await asyncio.sleep(DEREGISTER_S)
        if drain and self._proxy is not None:
            await self._proxy.stop(grace_s=DRAIN_S + 1)
        stops = [one.stop(grace_s=APP_GRACE_S) for one in (self._app, *self._inits)]
        if self._proxy is not None:
            stops.append(self._proxy.stop(grace_s=APP_GRACE_S))
        await asyncio.gather(*stops)
        await cancel_all(self._kept.values())

    async def _watch(self) -> None:
        for step, init in zip(self.plan.inits, self._inits, strict=True):
            await asyncio.wait([self._keep(init, kind=step.name)])
        if self._proxy is not None:
            self._keep(self._proxy, kind="proxy")
            while refusal := await self._proxy_refusal():
                self._judge(refusal)
                await self._pause(PROBE_WAITING_S)
        # The program starts once its proxy listens: its first call must not be refused.
        self._keep(self._app, kind="app")
        while True:
            self._judge(await self._proxy_refusal() or await self._app_refusal())
            await self._pause(PROBE_READY_S if self.ready else PROBE_WAITING_S)

    def _keep(self, container: Container, *, kind: str) -> asyncio.Task[None]:
        """Keep it running from now on. A watch that was started again finds what the one before had begun."""
        if container not in self._kept:
            self._kept[container] = supervise(container.run, name=f"{kind} {self.plan.name}")
        return self._kept[container]

    def _judge(self, refusal: str) -> None:
        answered = not refusal
        self._silence.heard(refusal, leader=self._app.pid)
        alive = self._app.running and (self._proxy is None or self._proxy.running)
        self._failures = 0 if answered else self._failures + 1
        if answered and alive:
            self._set_ready(ready=True)
        elif not alive or self._failures >= PROBE_FAILURES:
            self._set_ready(ready=False)

    async def _proxy_refusal(self) -> str:
        """Empty when the proxy serves, else why it does not."""
        if self._proxy is None:
            return ""
        if not self._proxy.running:
            return "the proxy does not run"
        plan = self.plan
        refusal = await Probe(plan.ip, plan.admin_port, path="/ready", netns=plan.netns).refusal()
        return f"the proxy is not ready: {refusal}" if refusal else ""

    async def _app_refusal(self) -> str:
        """Empty when the program serves, else why it does not."""
        if not self._app.running:
            return "the program does not run"
        port, check = self.plan.probe_port, self.plan.spec.ready
        if port is None:
            return ""
        path = check.path if check and check.kind == "http" else ""
        # Inside a namespace nothing is redirected on the way to its own addresses: the program itself
        # answers.
        refusal = await Probe(self.plan.ip, port, path=path, netns=self.plan.netns).refusal()
        if refusal and self.plan.intercepted:
            # Its proxy finds the address that it answers at.
            other = Probe(self.plan.ip6, port, path=path, netns=self.plan.netns)
            return refusal if await other.refusal() else ""
        return refusal

    def _set_ready(self, *, ready: bool) -> None:
        self.ready = ready
        if ready:
            self._app.problem = ""
            if self._proxy is not None:
                self._proxy.problem = ""
        self._on_change()

    def _status(self) -> PodStatus:
        if self._terminating:
            return "Terminating"
        if self.failed:
            return "Failed"
        running = self._app.running and (self._proxy is None or self._proxy.running)
        return "Running" if running else "Pending"

    def _container(self, program: Program, *, once: bool = False) -> Container:
        return Container(
            program,
            once=once,
            guard=self._around.guard,
            clock=self._around.clock,
            on_change=self._on_container_change,
        )

    def _on_container_change(self) -> None:
        self._wake.set()
        self._on_change()

    async def _pause(self, seconds: float) -> None:
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
