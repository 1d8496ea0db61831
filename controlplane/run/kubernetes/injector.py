"""`injector`: adds proxies to pods that are about to be made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linkerd2_py import __version__
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.injector.configured import ConfigFiles, Configured
from linkerd2_py.controlplane.injector.counted import Counted
from linkerd2_py.controlplane.injector.owners import Owners
from linkerd2_py.controlplane.injector.told import InjectionEvents
from linkerd2_py.controlplane.injector.webhook import Webhook
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.public_api.tls import TlsFiles
from linkerd2_py.controlplane.run.components import serve_webhook
from linkerd2_py.controlplane.run.kubernetes.process import Process, ask_api_server

CREATED_BY: Final = f"linkerd2-py/proxy-injector {__version__}"


@dataclass(frozen=True, slots=True)
class InjectorProcess:
    """What its flags say."""

    listen: Listen
    tls: TlsFiles
    config: ConfigFiles
    namespace: str = "linkerd"
    kubeconfig: Path | None = None

    async def compose(self, process: Process) -> None:
        """See `Compose`."""
        api = await ask_api_server(process, self.kubeconfig)
        configured = Configured(self.config, namespace=self.namespace, created_by=CREATED_BY)
        events = InjectionEvents(api, clock=SystemClock())
        process.running.push_async_callback(events.told)
        webhook = Webhook(
            api,
            mesh=configured.mesh,
            owners=Owners(api),
            events=events,
            counted=Counted(process.metrics),
        )
        process.health.needs.append(configured.missing)
        process.health.problems.append(lambda: filter(None, [configured.problem]))
        serving = serve_webhook(
            webhook.answer, name="proxy-injector", tls=self.tls, listen=self.listen
        )
        await process.running.enter_async_context(serving)
