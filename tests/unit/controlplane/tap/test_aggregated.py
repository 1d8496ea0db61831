"""The API behind an API server, over real TLS: who is let in, and who may watch."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme
from prometheus_client import CollectorRegistry

from linkerd2_py.controlplane.kubernetes_api import Json
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.public_api.tls import TlsFiles
from linkerd2_py.controlplane.tap.aggregated.app import ROOT, ApiServerOnly, api_app
from linkerd2_py.controlplane.tap.aggregated.front_proxy import (
    ConfigurationError,
    FrontProxy,
    Trusted,
)
from linkerd2_py.controlplane.tap.aggregated.review import Reviews
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.tap import User
from linkerd2_py.controlplane.tap.watcher import Watcher

USER = {"X-Remote-User": "alice", "X-Remote-Group": "dev", "X-Remote-Extra-scopes%2Fx": "a"}


class Cluster:
    """What an API server says: who passes requests on, and who may watch."""

    def __init__(self, anchor: trustme.CA, *names: str) -> None:
        self.reviews: list[Json] = []
        self.allowed = True
        self.data: dict[str, str] = {}
        self.trust(anchor, *names)

    def trust(self, anchor: trustme.CA, *names: str) -> None:
        self.data = {
            "requestheader-client-ca-file": anchor.cert_pem.bytes().decode(),
            "requestheader-allowed-names": json.dumps(names),
            "requestheader-username-headers": '["X-Remote-User"]',
            "requestheader-group-headers": '["X-Remote-Group"]',
            "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        }

    async def get(self, _path: str, _query: Mapping[str, str]) -> Json:
        return {"data": self.data}

    async def create(self, _path: str, found: Json) -> Json:
        self.reviews.append(found["spec"])
        return {"status": {"allowed": self.allowed}}


class Tap:
    """Lets watch whom the cluster lets, and ends at once."""

    def __init__(self, cluster: Any) -> None:
        self._reviews = Reviews(cluster)
        self.asked: list[TapRequest] = []

    async def watch(self, request: TapRequest, *, user: User) -> Watcher:
        await self._reviews.authorize(request, user)
        self.asked.append(request)
        watcher = Watcher(on_close=lambda _: None, on_lost=lambda _: None)
        watcher.end("enough")
        return watcher


class Rig:
    """A server, and clients with certificates."""

    def __init__(self, folder: Path, *names: str) -> None:
        self.front, self.own = trustme.CA(), trustme.CA()
        leaf = self.own.issue_cert("127.0.0.1")
        files = TlsFiles(folder / "tls.crt", folder / "tls.key")
        leaf.private_key_pem.write_to_path(str(files.key))
        leaf.cert_chain_pems[0].write_to_path(str(files.certificate))
        self.cluster: Any = Cluster(self.front, *names)
        self.tap = Tap(self.cluster)
        self.front_proxy = FrontProxy(self.cluster, tls=files)
        app = api_app(self.tap, front_proxy=self.front_proxy, metrics=CollectorRegistry())
        self.server = WebServer(
            ApiServerOnly(app, front_proxy=self.front_proxy),
            name="tap",
            tls=files,
            clients=self.front_proxy,
        )

    def client(self, signer: trustme.CA | None, name: str = "front-proxy") -> httpx2.AsyncClient:
        known = ssl.create_default_context()
        self.own.configure_trust(known)
        if signer is not None:
            signer.issue_cert(common_name=name).configure_cert(known)
        url = f"https://{self.server.address}"
        return httpx2.AsyncClient(base_url=url, verify=known, trust_env=False)


@pytest.fixture
async def running() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def started(running: AsyncExitStack, folder: Path, *names: str) -> Rig:
    rig = Rig(folder, *names)
    await rig.front_proxy.load()
    running.push_async_callback(rig.server.stop)
    await rig.server.start()
    return rig


async def test_nobody_is_let_in_without_the_certificate_whatever_names_are_allowed(
    running: AsyncExitStack, tmp_path: Path
) -> None:
    rig = await started(running, tmp_path)
    for signer in (None, trustme.CA()):
        async with rig.client(signer) as client:
            with pytest.raises((httpx2.HTTPError, ssl.SSLError)):
                await client.get("/apis", headers=USER)
    async with rig.client(rig.front, "whoever") as client:
        assert (await client.get("/apis")).status_code == 200


async def test_of_those_who_have_one_only_allowed_names_are(
    running: AsyncExitStack, tmp_path: Path
) -> None:
    rig = await started(running, tmp_path, "front-proxy")
    async with rig.client(rig.front, "kubelet") as client:
        answer = await client.post(f"{ROOT}/watch/namespaces/shop/pods//tap", headers=USER)
        assert (answer.status_code, answer.json()["kind"]) == (403, "Status")
    async with rig.client(rig.front) as client:
        assert (await client.get("/apis")).status_code == 200
    assert not rig.tap.asked


async def test_anchors_that_are_exchanged_are_trusted_no_more(
    running: AsyncExitStack, tmp_path: Path
) -> None:
    rig = await started(running, tmp_path)
    other = trustme.CA()
    rig.cluster.trust(other)
    await rig.front_proxy.load()
    async with rig.client(rig.front) as client:
        with pytest.raises((httpx2.HTTPError, ssl.SSLError)):
            await client.get("/apis")
    async with rig.client(other) as client:
        assert (await client.get("/apis")).status_code == 200


async def test_who_may_watch_is_asked_of_the_cluster(
    running: AsyncExitStack, tmp_path: Path
) -> None:
    rig = await started(running, tmp_path, "front-proxy")
    async with rig.client(rig.front) as client:
        path = f"{ROOT}/watch/namespaces/shop/deployments/web/tap"
        answer = await client.post(path, headers=USER, json={"method": "GET"})
        assert answer.status_code == 200
        assert json.loads(answer.text.splitlines()[0]) == {"notice": "ended", "reason": "enough"}
        (review,) = rig.cluster.reviews
        assert (review["user"], review["groups"]) == ("alice", ["dev"])
        assert review["extra"] == {"scopes/x": ["a"]}
        assert review["resourceAttributes"] == {
            "verb": "watch",
            "group": "tap.linkerd.io",
            "version": "v1alpha1",
            "resource": "deployments",
            "subresource": "tap",
            "namespace": "shop",
            "name": "web",
        }
        assert rig.tap.asked[0].method == "GET"
        rig.cluster.allowed = False
        refused = await client.post(path, headers=USER)
        assert refused.status_code == 403
        assert "alice cannot watch deployments/tap.tap.linkerd.io" in refused.json()["message"]
        assert (await client.post(path)).status_code == 403
        mismatch = await client.post(path, headers=USER, json={"name": "other"})
        assert (mismatch.status_code, "name is said in the path" in mismatch.text) == (400, True)
        assert (await client.post(f"{ROOT}/watch/x", headers=USER)).status_code == 404


def test_a_cluster_without_aggregation_is_told_from_one_with() -> None:
    for data in ({}, {"requestheader-client-ca-file": "x"}, {"requestheader-allowed-names": "{"}):
        with pytest.raises(ConfigurationError):
            Trusted.read({"data": data})
