"""`tap`: what passes through the proxies of a cluster, for whom its rules let watch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from linkerd2_py.base.tasks import cancel_all, supervise
from linkerd2_py.controlplane.kubernetes_api import ApiError
from linkerd2_py.controlplane.listen import Listen
from linkerd2_py.controlplane.mesh.objects import Namespace, Pod, Service, Workload
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.public_api.tls import CertificateError, TlsFiles
from linkerd2_py.controlplane.run.components import serve_tap
from linkerd2_py.controlplane.run.kubernetes.cluster import follow_cluster
from linkerd2_py.controlplane.run.kubernetes.process import Process, ask_api_server
from linkerd2_py.controlplane.sources.kubernetes.pods import Identities
from linkerd2_py.controlplane.tap.aggregated.app import ApiServerOnly, api_app
from linkerd2_py.controlplane.tap.aggregated.front_proxy import ConfigurationError, FrontProxy
from linkerd2_py.controlplane.tap.aggregated.review import Reviews

_NEEDED = (Pod, Namespace, Service, Workload)


@dataclass(frozen=True, slots=True)
class TapProcess:
    """What its flags say."""

    listen: Listen
    tls: TlsFiles
    identities: Identities
    kubeconfig: Path | None = None

    async def compose(self, process: Process) -> None:
        """See `Compose`. CertificateError when nobody could be answered."""
        running, metrics = process.running, process.metrics
        api = await ask_api_server(process, self.kubeconfig)
        front_proxy = FrontProxy(api, tls=self.tls)
        try:
            await front_proxy.load()
        except (ApiError, ConfigurationError) as error:
            raise CertificateError(f"tap: {error}") from error
        following = supervise(front_proxy.follow, name="front-proxy")
        running.push_async_callback(cancel_all, [following])
        process.health.problems.append(lambda: filter(None, [front_proxy.problem]))
        cluster = await follow_cluster(process, api, identities=self.identities)
        mesh = cluster.store.mesh
        process.health.needs.append(cluster.needed(lambda: all(map(mesh.is_synced, _NEEDED))))
        tap = await running.enter_async_context(
            serve_tap(cluster.store, metrics=metrics, authorize=Reviews(api).authorize)
        )
        app = ApiServerOnly(
            api_app(tap, front_proxy=front_proxy, metrics=metrics), front_proxy=front_proxy
        )
        server = WebServer(app, name="tap", tls=self.tls, clients=front_proxy)
        running.push_async_callback(server.stop)
        await server.start(host=self.listen.host, port=self.listen.port)
        # Else those who watch would be waited for.
        running.push_async_callback(tap.stop)
