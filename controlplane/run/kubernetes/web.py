"""`web`: the dashboard. What it shows it asks of public-api, by HTTP; live calls, where it may, of the
cluster's API of tap.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2

from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.run.components import serve_dashboard
from linkerd2_py.controlplane.run.kubernetes.process import Process, ask_api_server
from linkerd2_py.controlplane.tap.aggregated.asked import ApiServerTap
from linkerd2_py.controlplane.web.app import Page
from linkerd2_py.controlplane.web.asked import TIMEOUT_S, passed_on
from linkerd2_py.controlplane.web.tap import anybody, websocket_route

MOST_CONNECTIONS: Final = 32
"""Of all browsers together: public-api has others to answer."""


@dataclass(frozen=True, slots=True)
class WebProcess:
    """What its flags say: where browsers ask, and who answers. `hosts` is a regular expression. With
    `live_calls` whoever reaches the page watches what this process's account may.
    """

    listen: Listen
    public_api: str
    hosts: str
    grafana: str = ""
    namespace: str = "linkerd"
    live_calls: bool = False
    kubeconfig: Path | None = None

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
        further = []
        if self.live_calls:
            tap = ApiServerTap(await ask_api_server(process, self.kubeconfig))
            further.append(websocket_route(tap, admit=anybody))
        serving = serve_dashboard(
            api=[passed_on(client)],
            page=Page("kubernetes", grafana=self.grafana, control_plane_namespace=self.namespace),
            listen=[self.listen],
            hosts=self.hosts,
            further=further,
        )
        await process.running.enter_async_context(serving)
