"""Reading the certificates that proxies present, against real TLS servers: good ones and every kind of wrong
one.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.presented import Presented, certificates_of
from linkerd2_py.controlplane.mesh.objects import Key
from linkerd2_py.controlplane.mesh.store import Mesh
from linkerd2_py.controlplane.sources.local.replica import Replica
from tests.support.certificates import (
    IDENTITY,
    Extension,
    certificate_of,
    common_name,
    dns_names,
    new_key,
)
from tests.support.local_mesh import LocalMesh
from tests.support.ports import free_address
from tests.support.tls_pod import TlsPod, certified, presenting
from tests.support.wait import eventually_async

NOW = SystemClock().wall()
MONTH = timedelta(days=30)
WEB = Key("emojivoto", "web-0")
ISSUER, ANCHOR_PEM = throw_away(TrustDomain(), now=NOW - MONTH.total_seconds(), lifetime=2 * MONTH)
ANCHORS = (x509.load_pem_x509_certificate(ANCHOR_PEM),)
STRANGERS = (throw_away(TrustDomain(), now=NOW)[0].anchors[0],)


def pod_at(port: int, *, ip: str = "127.0.0.1") -> Replica:
    return Replica(*WEB, "web", ip, identity=IDENTITY, inbound_port=port)


def mesh_of(*pods: Replica) -> Mesh:
    local_mesh = LocalMesh()
    local_mesh.apply(pods=pods)
    return local_mesh.mesh


async def read(
    pod: Replica, *, anchors: Sequence[x509.Certificate] = ANCHORS, timeout_s: float = 10
) -> Presented:
    (found,) = await certificates_of([WEB], mesh=mesh_of(pod), anchors=anchors, timeout_s=timeout_s)
    return found


async def read_from(
    tls: ssl.SSLContext, *, anchors: Sequence[x509.Certificate] = ANCHORS
) -> Presented:
    async with TlsPod(tls).listening() as server:
        return await read(pod_at(server.port), anchors=anchors)


def leaf_with(directory: Path, *extensions: Extension) -> ssl.SSLContext:
    """A server whose leaf the mesh's issuer signed with just these extensions."""
    key = new_key()
    leaf = certificate_of(
        key.public_key(),
        subject=common_name("x"),
        issuer=ISSUER.certificate.subject,
        signing_key=ISSUER.key,
        starts=NOW - 60,
        lifetime_s=3600,
        extensions=extensions,
    )
    return presenting(directory, key=key, chain=[leaf, *ISSUER.chain])


async def test_leaf_is_read_and_verified_without_a_certificate_of_ours(tmp_path: Path) -> None:
    tls = certified(tmp_path, issuer=ISSUER, now=NOW)
    tls.verify_mode = ssl.CERT_REQUIRED
    async with TlsPod(tls).listening() as server:
        found = await read(pod_at(server.port))
        assert server.names == [IDENTITY]
    assert (found.problem, found.verified, found.identity) == ("", True, IDENTITY)
    assert found.certificate is not None
    found.certificate.verify_directly_issued_by(ISSUER.certificate)


async def test_nothing_is_sent_to_a_proxy(tmp_path: Path) -> None:
    async with TlsPod(certified(tmp_path, issuer=ISSUER, now=NOW)).listening() as server:
        assert (await read(pod_at(server.port))).problem == ""
        await eventually_async(lambda: server.received == [b""])


async def test_without_anchors_nothing_is_verified(tmp_path: Path) -> None:
    found = await read_from(certified(tmp_path, issuer=ISSUER, now=NOW), anchors=())
    assert (found.problem, found.verified) == ("", False)
    assert found.certificate is not None


async def test_anchor_need_not_have_signed_itself(tmp_path: Path) -> None:
    tls = certified(tmp_path, issuer=ISSUER, now=NOW)
    found = await read_from(tls, anchors=[*STRANGERS, ISSUER.certificate])
    assert (found.problem, found.verified) == ("", True)


@pytest.mark.parametrize(
    ("anchors", "made", "reason"),
    [
        (STRANGERS, NOW, "unable to get local issuer certificate"),
        (ANCHORS, NOW - 7 * 86_400, "certificate has expired"),
        (ANCHORS, NOW + 3600, "certificate is not yet valid"),
    ],
    # Every worker of a parallel run must find the same names.
    ids=["stranger", "expired", "early"],
)
async def test_leaf_that_no_anchor_vouches_for(
    tmp_path: Path, anchors: Sequence[x509.Certificate], made: float, reason: str
) -> None:
    found = await read_from(certified(tmp_path, issuer=ISSUER, now=made), anchors=anchors)
    assert found.problem == f"presents a certificate that no trust anchor vouches for: {reason}"
    assert (found.certificate, found.verified) == (None, False)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["voting.emojivoto"], "voting.emojivoto"),
        ([IDENTITY, "more.example"], f"{IDENTITY}, more.example"),
        (["*" + IDENTITY.removeprefix("web")], "*" + IDENTITY.removeprefix("web")),
        ([IDENTITY.upper()], IDENTITY.upper()),
    ],
)
@pytest.mark.parametrize("anchors", [ANCHORS, ()])
async def test_other_names_are_refused(
    tmp_path: Path, anchors: Sequence[x509.Certificate], names: list[str], shown: str
) -> None:
    found = await read_from(leaf_with(tmp_path, dns_names(*names)), anchors=anchors)
    assert found.problem == f"presents {shown!r}, not {IDENTITY!r}"
    assert found.certificate is None


async def test_leaf_without_a_name_is_refused(tmp_path: Path) -> None:
    found = await read_from(leaf_with(tmp_path))
    assert found.problem == f"presents a certificate without a name, not {IDENTITY!r}"


async def test_leaf_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    garbage = x509.UnrecognizedExtension(x509.AuthorityInformationAccess.oid, b"garbage")
    found = await read_from(leaf_with(tmp_path, (garbage, False)), anchors=())
    assert found.problem == "presents a certificate that cannot be read"


async def test_older_tls_is_refused(tmp_path: Path) -> None:
    tls = certified(tmp_path, issuer=ISSUER, now=NOW)
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    async with TlsPod(tls).listening() as server:
        found = await read(pod_at(server.port))
    where = f"127.0.0.1:{server.port}"
    assert found.problem == f"cannot be reached at {where}: it ended the handshake"


@asynccontextmanager
async def answering(answer: bytes | None) -> AsyncIterator[int]:
    """A plain server, on the port it gives: answers with these bytes and closes; never, if there are none."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if answer is None:
            await done.wait()
        else:
            writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak TLS at {}: wrong version number"),
        (b"", "cannot be reached at {}: it ended the handshake"),
    ],
)
async def test_plain_server_is_told_from_one_that_closes(answer: bytes, problem: str) -> None:
    async with answering(answer) as port:
        found = await read(pod_at(port))
    assert found.problem.startswith(problem.format(f"127.0.0.1:{port}"))


async def test_proxy_that_does_not_answer_is_not_waited_for() -> None:
    async with answering(None) as port:
        found = await read(pod_at(port), timeout_s=0.05)
    assert found.problem == f"did not answer at 127.0.0.1:{port} within 0.05s"


async def test_address_where_nobody_listens() -> None:
    host, port = free_address()
    found = await read(pod_at(port, ip=host))
    assert found.problem == f"cannot be reached at {host}:{port}: Connection refused"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"name": "web-9"}, "does not exist"),
        ({"meshed": False}, "is not meshed: it has no proxy"),
        ({"identity": ""}, "has no identity: its proxy speaks plain text"),
        ({"inbound_port": 0}, "has no identity: its proxy speaks plain text"),
    ],
)
async def test_pods_that_cannot_have_a_certificate(
    changes: dict[str, str | int], problem: str
) -> None:
    found = await read(replace(pod_at(1), **changes))  # type: ignore[arg-type]
    assert found.problem == problem


async def test_many_are_read_in_the_order_asked(tmp_path: Path) -> None:
    async with TlsPod(certified(tmp_path, issuer=ISSUER, now=NOW)).listening() as server:
        pods = [replace(pod_at(server.port), name=f"web-{number}") for number in range(50)]
        pods[7] = replace(pods[7], meshed=False)
        keys = [pod.key for pod in reversed(pods)]
        found = await certificates_of(keys, mesh=mesh_of(*pods), anchors=ANCHORS, timeout_s=10)
    assert [presented.pod for presented in found] == keys
    assert [presented.pod.name for presented in found if presented.problem] == ["web-7"]
