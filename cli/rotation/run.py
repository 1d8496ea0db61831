"""Steps one after the other, each of them when what it rests on was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from linkerd2_py.cli.rotation.act import Actor, carries_proxy
from linkerd2_py.cli.rotation.look import RESTARTABLE, Look, look, look_at_certificates
from linkerd2_py.cli.rotation.steps import IRREVOCABLE, Step

SETTLE_S: Final = 15.0
"""Longer than an API server waits for an injector, and a proxy for a certificate: ten seconds."""
_LOOK_AGAIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Run:
    """`tell` hears of everything that is done."""

    actor: Actor
    tell: Callable[[str], None]

    async def look(self) -> Look:
        """Everything that the next step depends on."""
        found = await look(self.actor.api, namespace=self.actor.namespace)
        return await look_at_certificates(self.actor.api, found)

    async def one_step(self) -> bool:
        """The next step, or nothing where that waits; whether something was done."""
        return bool(await self._do(await self._looked_twice()))

    async def until_over(self, *, within_s: float) -> bool:
        """All steps; False when the time is over first."""
        deadline = asyncio.get_running_loop().time() + within_s
        while True:
            found = await self._looked_twice()
            done = await self._do(found)
            if done and found.next.step is Step.FINISH:
                return True
            if asyncio.get_running_loop().time() >= deadline:
                return False
            if not done:
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def _looked_twice(self) -> Look:
        """Before a step that cannot be taken back, with the time between in which what was under way
        arrives.
        """
        found = await self.look()
        while found.next.step in IRREVOCABLE:
            await asyncio.sleep(SETTLE_S)
            again = await self.look()
            if again.next.step is found.next.step:
                return again
            found = again
        return found

    async def _do(self, found: Look) -> str:
        from linkerd2_py.controlplane.kubernetes_api import ApiError

        try:
            done = await self.actor.do(found)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            self.tell(
                "somebody else has just changed what this step changes: it is looked at again"
            )
            return ""
        if done:
            self.tell(done)
        return done


async def in_vain(found: Look, actor: Actor) -> dict[str, str]:
    """Why restarting does not help, of workloads whose proxies are waited for."""
    from linkerd2_py.cli.objects import find

    if found.next.step not in (Step.RESTART_WORKLOADS, Step.FORGET_IN_WORKLOADS):
        return {}
    told: dict[str, str] = {}
    for proxy in found.next.waits_for:
        name = f"{proxy.namespace} {proxy.workload}"
        kind, _, own = proxy.workload.partition("/")
        if name in told or kind not in RESTARTABLE:
            continue
        path = f"/apis/apps/v1/namespaces/{proxy.namespace}/{RESTARTABLE[kind]}/{own}"
        workload = await find(actor.api, path)
        if workload is not None and carries_proxy(workload):
            told[name] = "its template has a proxy with anchors of its own: inject it anew"
    return told
