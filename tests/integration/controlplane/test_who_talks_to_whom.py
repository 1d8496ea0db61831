"""What a user sees of mutual TLS: commands over HTTP, a control plane over two pods whose metrics and TLS
servers are real.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.cli.main import run
from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.identity import IdentitySettings
from linkerd2_py.controlplane.identity.issuer import Issuer
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, Workload
from linkerd2_py.controlplane.metrics.families import CERTIFICATE_ENDS
from linkerd2_py.controlplane.public_api.server import WebServer
from linkerd2_py.controlplane.run.local import build_embedded
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.local_mesh import LocalMesh
from tests.support.tls_pod import TlsPod, certified
from tests.support.wait import eventually_async, within

NS = "emojivoto"
DOMAIN = TrustDomain()
NOW = SystemClock().wall()
DAY_S = 86_400.0
ISSUER, _ = throw_away(DOMAIN, now=NOW)
SUCCESS = 'classification="success"'
PLAIN = 'tls="no_identity",no_tls_reason="not_provided_by_service_discovery"'


def identity(workload: str) -> str:
    return DOMAIN.identity(workload, namespace=NS)


def outbound(to: str, labels: str) -> str:
    ends = f'dst_namespace="{NS}",dst_deployment="{to}",dst_pod="{to}-0"'
    return f'direction="outbound",peer="dst",{ends},{labels}'


def web_lines(turn: int) -> list[str]:
    voting = outbound("voting", f'tls="true",server_id="{identity("voting")}"')
    return [
        f"tcp_open_connections{{{voting}}} 2",
        f"tcp_open_connections{{{outbound('legacy', PLAIN)}}} 1",
        f"{CERTIFICATE_ENDS} {NOW + DAY_S}",
    ]


def voting_lines(turn: int) -> list[str]:
    secured = f'direction="inbound",tls="true",client_id="{identity("web")}",{SUCCESS}'
    plain = f'direction="inbound",tls="no_identity",no_tls_reason="no_tls_from_remote",{SUCCESS}'
    return [
        f"response_total{{{secured}}} {turn * 30}",
        f"response_total{{{plain}}} {turn * 10}",
        f"{CERTIFICATE_ENDS} {NOW + DAY_S}",
    ]


@dataclass
class Proxy:
    """A pod's proxy: metrics that are a function of how often they were read, and a TLS server."""

    lines: Callable[[int], list[str]]
    tls: TlsPod
    turns: int = 0

    async def metrics(self, _request: Request) -> Response:
        self.turns += 1
        lines = [*self.lines(self.turns), f"process_start_time_seconds {NOW - DAY_S}"]
        return PlainTextResponse("\n".join(lines) + "\n")

    async def start(self, running: AsyncExitStack) -> str:
        """Until `running` ends; the address of the metrics."""
        await running.enter_async_context(self.tls.listening())
        server = WebServer(Starlette(routes=[Route("/metrics", self.metrics)]))
        running.push_async_callback(server.stop)
        return await server.start()


class Plane:
    """The control plane, the proxies of its pods, and the command line."""

    def __init__(self, *, certificates: Path) -> None:
        self.local_mesh = LocalMesh()
        self.proxies: dict[str, Proxy] = {}
        self._certificates = certificates
        self._api = ""

    async def start(self, running: AsyncExitStack, *, issuer: Issuer | None = ISSUER) -> None:
        settings = IdentitySettings(issuer, WorkloadTokens()) if issuer else None
        plane = await build_embedded(
            self.local_mesh.store, identity=settings, scrape_interval_s=0.02
        )
        running.push_async_callback(plane.stop)
        self._api = plane.public_api
        for workload, lines in {"web": web_lines, "voting": voting_lines}.items():
            await self.add(workload, lines, running=running)
        self.local_mesh.put(Replica(NS, "legacy-0", "legacy", "127.0.0.1", meshed=False))
        self.local_mesh.put(Workload(DEPLOYMENT, NS, "voting", 1))
        await eventually_async(lambda: all(each.turns > 3 for each in self.proxies.values()))

    async def add(
        self,
        workload: str,
        lines: Callable[[int], list[str]],
        *,
        running: AsyncExitStack,
        presents: str = "",
    ) -> None:
        folder = self._certificates / workload
        folder.mkdir()
        presented = identity(presents or workload)
        tls = certified(folder, issuer=ISSUER, now=NOW, identity=presented)
        proxy = self.proxies[workload] = Proxy(lines, TlsPod(tls))
        admin = await proxy.start(running)
        self.local_mesh.put(
            Replica(
                NS,
                f"{workload}-0",
                workload,
                "127.0.0.1",
                ready=True,
                status="Running",
                admin_addr=admin,
                identity=identity(workload),
                inbound_port=proxy.tls.port,
            )
        )

    async def run(self, words: str, *, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
        """Status, stdout and stderr of a command."""
        capsys.readouterr()
        argv = [*words.split(), "--api-addr", self._api]
        status = await asyncio.to_thread(run, argv)
        captured = capsys.readouterr()
        return status, captured.out, captured.err


@pytest.fixture
async def running() -> AsyncIterator[AsyncExitStack]:
    async with within(50), AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def plane(running: AsyncExitStack, tmp_path: Path) -> Plane:
    plane = Plane(certificates=tmp_path)
    await plane.start(running)
    return plane


async def test_edges_say_who_talks_to_whom(
    plane: Plane, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = await plane.run(f"edges deploy -n {NS} -o wide", capsys=capsys)
    assert (status, err) == (0, "")
    assert [line.split(maxsplit=6) for line in out.splitlines()] == [
        ["SRC", "DST", "SRC_NS", "DST_NS", "CLIENT_ID", "SERVER_ID", "SECURED"],
        ["web", "legacy", NS, NS, f"web.{NS}", "Not", "Provided By Service Discovery"],
        ["web", "voting", NS, NS, f"web.{NS}", f"voting.{NS}", "√"],
    ]
    _, out, _ = await plane.run("edges po -A -o json", capsys=capsys)
    assert [(edge["src"], edge["dst"]) for edge in json.loads(out)] == [
        ("web-0", "legacy-0"),
        ("web-0", "voting-0"),
    ]


async def test_without_edges_a_person_is_told_and_a_program_gets_a_list(
    plane: Plane, capsys: pytest.CaptureFixture[str]
) -> None:
    command = "edges deploy -n elsewhere"
    assert await plane.run(command, capsys=capsys) == (0, "", "No edges found.\n")
    assert await plane.run(f"{command} -o json", capsys=capsys) == (0, "[]\n", "")


async def test_kinds_that_a_mesh_file_has_none_of_have_no_edges(
    plane: Plane, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await plane.run("edges sts", capsys=capsys) == (0, "", "No edges found.\n")


@pytest.mark.parametrize("form", ["table", "wide"])
async def test_stat_shows_the_share_over_tls(
    plane: Plane, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    _, out, _ = await plane.run(f"stat deploy/voting -n {NS} -o {form}", capsys=capsys)
    heads, row = (line.split() for line in out.splitlines())
    assert row[heads.index("TLS")] == "75%"


async def test_stat_shows_the_share_over_tls_to_programs(
    plane: Plane, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = await plane.run(f"stat deploy/voting -n {NS} -o json", capsys=capsys)
    (row,) = json.loads(out)
    assert row["tls"] == pytest.approx(0.75)


async def test_identity_prints_the_certificate_of_a_pod(
    plane: Plane, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = await plane.run(f"identity po/web-0 -n {NS}", capsys=capsys)
    assert (status, err) == (0, "")
    assert out.startswith("POD web-0 (1 of 1)\n\nCertificate:\n    Data:\n")
    assert f"                DNS:{identity('web')}\n" in out
    _, pem, _ = await plane.run(f"identity web-0 -n {NS} -o pem", capsys=capsys)
    leaf = x509.load_pem_x509_certificate(pem.encode())
    leaf.verify_directly_issued_by(ISSUER.certificate)


async def test_identity_prints_those_of_all_meshed_pods(
    plane: Plane, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = await plane.run(f"identity -n {NS}", capsys=capsys)
    assert (status, err) == (0, "")
    heads = [line for line in out.splitlines() if line.startswith("POD ")]
    assert heads == ["POD voting-0 (1 of 2)", "POD web-0 (2 of 2)"]


async def test_identity_complains_of_each_pod_that_has_none(
    plane: Plane, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"identity web-9 web-0 legacy-0 -n {NS}"
    status, out, err = await plane.run(words, capsys=capsys)
    assert status == 1
    assert out.startswith("POD web-0 (1 of 1)\n")
    assert err.splitlines() == [
        f"linkerd2-py: {NS}/web-9 does not exist",
        f"linkerd2-py: {NS}/legacy-0 is not meshed: it has no proxy",
    ]
    found = await plane.run("identity -n elsewhere", capsys=capsys)
    nobody = "linkerd2-py: no meshed pod found in the namespace 'elsewhere'\n"
    assert found == (1, "", nobody)


async def test_identity_says_when_nothing_was_verified(
    running: AsyncExitStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plane = Plane(certificates=tmp_path)
    await plane.start(running, issuer=None)
    status, out, err = await plane.run(f"identity web-0 -n {NS}", capsys=capsys)
    assert (status, err) == (0, "Not verified: the control plane has no trust anchors.\n")
    assert identity("web") in out


def checks(out: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Result and error of the identity checks, by category and description."""
    categories = {each["categoryName"]: each["checks"] for each in json.loads(out)["categories"]}
    return {
        (name, check["description"]): (check["result"], check.get("error", ""))
        for name, found in categories.items()
        for check in found
        if name.startswith("linkerd-identity")
    }


async def test_check_finds_everything_well(
    plane: Plane, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = await plane.run("check --wait 0s -o json", capsys=capsys)
    found = checks(out)
    assert set(found.values()) == {("success", "")}
    assert [category for category, _ in found].count("linkerd-identity") == 8
    assert [category for category, _ in found].count("linkerd-identity-data-plane") == 3


async def test_check_names_the_pods_whose_certificates_are_not_well(
    plane: Plane, running: AsyncExitStack, capsys: pytest.CaptureFixture[str]
) -> None:
    def ended(_turn: int) -> list[str]:
        return [f"{CERTIFICATE_ENDS} {NOW - 1}"]

    await plane.add("chat", ended, running=running, presents="web")
    await eventually_async(lambda: plane.proxies["chat"].turns > 1)
    status, out, _ = await plane.run("check --wait 0s", capsys=capsys)
    assert status == 1
    shown = f"1 of 3 pods: {NS}/chat-0"
    presents = f"presents {identity('web')!r}, not {identity('chat')!r}"
    assert f"‼ data plane proxies certificate match CA\n    {shown} {presents}\n    hint: " in out
    valid = "× data plane proxies certificates are within their validity period"
    assert f"{valid}\n    {shown} has one that expired on " in out


async def test_mesh_without_identity_has_no_such_checks(
    running: AsyncExitStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plane = Plane(certificates=tmp_path)
    await plane.start(running, issuer=None)
    _, out, _ = await plane.run("check --wait 0s -o json", capsys=capsys)
    assert checks(out) == {}
