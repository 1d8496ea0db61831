"""`web`: the dashboard. It has no right to anything but what it asks of public-api, by HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx2

from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.run.components import serve_dashboard
from linkerd2_py.controlplane.run.kubernetes.process import Process
from linkerd2_py.controlplane.web.app import Page
from linkerd2_py.controlplane.web.asked import TIMEOUT_S, passed_on

MOST_CONNECTIONS: Final = 32
"""Of all browsers together: public-api has others to answer."""


@dataclass(frozen=True, slots=True)
class WebProcess:
    """What its flags say: where browsers ask, and who answers. `hosts` is a regular expression."""

    listen: Listen
    public_api: str
    hosts: str
    grafana: str = ""
    namespace: str = "linkerd"

    async def compose(self, process: Process) -> None:
        """See `Compose`."""
        client = await process.running.enter_async_context(
            httpx2.AsyncClient(
                base_url=f"http://{self.public_api}",
                timeout=TIMEOUT_S,
                trust_env=False,
                limits=httpx2.Limits(max_connections=MOST_CONNECTIONS),
                headers={"accept": "application/json"},
            )
        )
        page = Page("kubernetes", grafana=self.grafana, control_plane_namespace=self.namespace)
        serving = serve_dashboard(
            api=[passed_on(client)], page=page, listen=[self.listen], hosts=self.hosts
        )
        await process.running.enter_async_context(serving)
