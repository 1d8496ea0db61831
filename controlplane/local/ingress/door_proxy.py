"""One proxy process behind doors: kept running, asked whether it is ready, and given an identity where
its doors have one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from linkerd2_py.base.names import CONTROL_PLANE_NAMESPACE
from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.local.place.plan import PodPlan
from linkerd2_py.controlplane.local.programs.container import Container
from linkerd2_py.controlplane.local.programs.of_pod import APP_GRACE_S, Surroundings, proxy_program
from linkerd2_py.controlplane.local.programs.probe import Probe

SERVICE_ACCOUNT: Final = "ingress"
PROBE_EVERY_S: Final = 0.1


class DoorProxy:
    """From its start to its end. `on_change` is called when it becomes ready."""

    def __init__(
        self,
        plan: PodPlan,
        *,
        around: Surroundings,
        on_change: Callable[[], None],
        secured: bool,
    ) -> None:
        self.plan = plan
        self.ready = False
        self._stopped = False
        self._around = around
        # No pod can be called that; there may be a workload that is called ingress, too.
        self._identity = f"{plan.name}.door"
        self._on_change = on_change
        self._probe = Probe(plan.ip, plan.admin_port, path="/ready")
        self.container = Container(
            proxy_program(self._with_identity() if secured else _without(plan), around=around),
            guard=around.guard,
            clock=around.clock,
            on_change=on_change,
        )
        self._running = supervise(self.container.run, name=f"proxy {plan.name}")
        self._waiting = supervise(self._wait_ready, name=f"proxy {plan.name} ready")

    @property
    def is_current(self) -> bool:
        """Whether it serves on; one that was stopped to be replaced, and was not yet, does not."""
        return not self._stopped and self._around.identities.is_current(self._identity)

    def _with_identity(self) -> PodPlan:
        """The mesh's own and no workload's: who lets its own namespace in does not let in what comes from
        outside.
        """
        identity = self._around.identities.issue(
            self._identity, service_account=SERVICE_ACCOUNT, namespace=CONTROL_PLANE_NAMESPACE
        )
        secured = self.plan.secured(identity)
        # It has no address for it: it would take the port of everybody else's.
        return replace(secured, settings={**secured.settings, "TAP_SVC_NAME": ""})

    async def stop(self) -> None:
        """May be repeated."""
        self._stopped = True
        self._waiting.cancel()
        await self.container.stop(grace_s=APP_GRACE_S)
        await cancel_all([self._running])
        self._around.identities.withdraw(self._identity)

    async def _wait_ready(self) -> None:
        while not await self._probe.answered():  # noqa: ASYNC110
            await asyncio.sleep(PROBE_EVERY_S)
        self.ready = True
        self._on_change()


def _without(plan: PodPlan) -> PodPlan:
    """A proxy that proves nothing."""
    return replace(plan, settings={**plan.settings, "IDENTITY_DISABLED": "disabled"})
