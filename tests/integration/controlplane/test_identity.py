"""The identity service as proxies meet it: through build_embedded, over real gRPC, its leaves in real
handshakes.
"""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from grpc_health.v1 import health_pb2, health_pb2_grpc

from linkerd2_py.base.clock import ManualClock, SystemClock
from linkerd2_py.controlplane.errors import IssuerError
from linkerd2_py.controlplane.identity.ca import throw_away
from linkerd2_py.controlplane.identity.certifier import Validity
from linkerd2_py.controlplane.identity.files import IssuerFiles
from linkerd2_py.controlplane.identity.identity import IdentitySettings
from linkerd2_py.controlplane.identity.limits import CertifyLimiter
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.refusals import Reason
from linkerd2_py.controlplane.identity.service import CODES, SERVICE
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.run.local import EmbeddedControlPlane, build_embedded
from linkerd2_py.proto.gen import identity_pb2 as messages
from linkerd2_py.proto.gen import identity_pb2_grpc as stubs
from tests.support.certificates import IDENTITY, NOW, Signer, csr, dns_names, new_key
from tests.support.local_mesh import LocalMesh
from tests.support.wait import eventually_async, within

DOMAIN = TrustDomain()
OTHER = DOMAIN.identity("voting", namespace="emojivoto")
POLL_S = 0.01
DEADLINE_S = 25
Code = grpc.StatusCode


class Broken:
    """A validator with a fault of its own."""

    async def check(self, token: bytes, *, identity: str) -> None:
        raise RuntimeError(f"no answer about {identity}")


class Plane:
    """A control plane that certifies, a client of it, and the token of one workload."""

    def __init__(self, running: EmbeddedControlPlane, *, tokens: WorkloadTokens) -> None:
        self.running = running
        self.token = tokens.issue(IDENTITY)
        self.channel = grpc.aio.insecure_channel(running.proxy_api)
        self.stub = stubs.IdentityStub(self.channel)

    async def certify(
        self,
        key: ec.EllipticCurvePrivateKey | None = None,
        *,
        identity: str = IDENTITY,
        token: bytes | None = None,
        der: bytes | None = None,
    ) -> messages.CertifyResponse:
        answer: messages.CertifyResponse = await self.stub.Certify(
            messages.CertifyRequest(
                identity=identity,
                token=self.token if token is None else token,
                certificate_signing_request=csr(key or new_key()) if der is None else der,
            )
        )
        return answer

    async def refused(self, **asked: bytes | str) -> tuple[Code, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.certify(**asked)  # type: ignore[arg-type]
        return caught.value.code(), str(caught.value.details())

    async def metric(self, line: str) -> float:
        """The value of one series, as Prometheus would read it."""
        async with httpx2.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"{self.running.public_api}/metrics")).text
        (found,) = [each for each in text.splitlines() if each.startswith(f"{line} ")]
        return float(found.rpartition(" ")[2])


@asynccontextmanager
async def planed(settings: IdentitySettings, *, tokens: WorkloadTokens) -> AsyncIterator[Plane]:
    running = await build_embedded(LocalMesh().store, identity=settings)
    plane = Plane(running, tokens=tokens)
    try:
        async with within(DEADLINE_S):
            yield plane
    finally:
        await plane.channel.close()
        await running.stop()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(epoch=NOW)


@pytest.fixture
async def plane(clock: ManualClock) -> AsyncIterator[Plane]:
    issuer, _ = throw_away(DOMAIN, now=NOW, lifetime=timedelta(days=30))
    tokens = WorkloadTokens()
    settings = IdentitySettings(issuer=issuer, tokens=tokens, clock=clock)
    async with planed(settings, tokens=tokens) as plane:
        yield plane


async def test_answer_is_a_leaf_for_the_key_until_tomorrow(plane: Plane) -> None:
    key = new_key()
    answer = await plane.certify(key)
    leaf = x509.load_der_x509_certificate(answer.leaf_certificate)
    (intermediate,) = answer.intermediate_certificates
    leaf.verify_directly_issued_by(x509.load_der_x509_certificate(intermediate))
    assert leaf.public_key() == key.public_key()
    assert answer.valid_until.seconds == NOW + 86_400 + 20
    assert leaf.not_valid_after_utc.timestamp() == answer.valid_until.seconds


async def test_health_says_that_identities_are_served(plane: Plane) -> None:
    health = health_pb2_grpc.HealthStub(plane.channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service=SERVICE))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_without_identity_there_is_no_service() -> None:
    running = await build_embedded(LocalMesh().store)
    async with grpc.aio.insecure_channel(running.proxy_api) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stubs.IdentityStub(channel).Certify(messages.CertifyRequest())
    assert running.anchors == b""
    await running.stop()
    assert caught.value.code() is Code.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("asked", "answer", "words"),
    [
        ({"identity": ""}, (Code.INVALID_ARGUMENT, "invalid_request"), "names no identity"),
        (
            {"identity": "x.y"},
            (Code.FAILED_PRECONDITION, "identity_mismatch"),
            "not an identity of this",
        ),
        ({"token": b""}, (Code.INVALID_ARGUMENT, "invalid_token"), "has no token"),
        ({"token": b"x"}, (Code.FAILED_PRECONDITION, "not_authenticated"), "is not known here"),
        ({"identity": OTHER}, (Code.FAILED_PRECONDITION, "identity_mismatch"), "token proves"),
        ({"der": b""}, (Code.INVALID_ARGUMENT, "unreadable_csr"), "no certificate signing request"),
        ({"der": b"0"}, (Code.INVALID_ARGUMENT, "unreadable_csr"), "cannot be read as PKCS#10"),
        (
            {"der": csr(new_key(), extensions=[dns_names(OTHER)])},
            (Code.FAILED_PRECONDITION, "forbidden_csr"),
            "not for the requested identity",
        ),
    ],
)
async def test_refusal_has_a_code_a_count_and_one_line(
    plane: Plane,
    caplog: pytest.LogCaptureFixture,
    asked: dict[str, bytes | str],
    answer: tuple[Code, str],
    words: str,
) -> None:
    code, reason = answer
    found, details = await plane.refused(**asked)
    assert found is code
    assert words in details
    assert await plane.metric(f'identity_certify_total{{result="{reason}"}}') == 1
    (record,) = [each for each in caplog.records if "no certificate for" in each.message]
    assert record.levelno == logging.WARNING
    assert details in record.message
    assert repr(asked.get("identity", IDENTITY)) in record.message
    assert plane.token.decode() not in caplog.text


def test_every_reason_has_a_code() -> None:
    assert set(CODES) == set(Reason)


async def test_bytes_that_are_no_request(plane: Plane) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await plane.channel.unary_unary(f"/{SERVICE}/Certify")(b"\xff\xff")
    assert caught.value.code() is Code.INVALID_ARGUMENT
    assert caught.value.details() == "the request is not a CertifyRequest"


async def test_stranger_does_not_use_up_a_workloads_certificates(clock: ManualClock) -> None:
    issuer, _ = throw_away(DOMAIN, now=NOW)
    tokens = WorkloadTokens()
    settings = IdentitySettings(
        issuer=issuer,
        tokens=tokens,
        clock=clock,
        limiter=lambda clock: CertifyLimiter(clock, burst=2, per_second=0.1),
    )
    async with planed(settings, tokens=tokens) as plane:
        for _ in range(5):
            assert (await plane.refused(token=b"x"))[0] is Code.FAILED_PRECONDITION
        await plane.certify()
        await plane.certify()
        code, details = await plane.refused()
        assert code is Code.RESOURCE_EXHAUSTED
        assert "too many certificates: try again in 10.0 s" in details
        assert await plane.metric('identity_certify_total{result="rate_limited"}') == 1
        other = tokens.issue(OTHER)
        der = csr(new_key(), extensions=[dns_names(OTHER)])
        await plane.certify(identity=OTHER, token=other, der=der)
        clock.advance(10)
        await plane.certify()


async def test_expired_issuer_refuses_until_there_is_another(
    plane: Plane, clock: ManualClock
) -> None:
    clock.advance(30 * 86_400)
    assert (await plane.certify()).valid_until.seconds == NOW + 30 * 86_400 + 20
    clock.advance(20)
    code, details = await plane.refused()
    assert code is Code.UNAVAILABLE
    assert "install a valid issuer" in details
    clock.advance(5)
    assert await plane.metric("issuer_cert_ttl_seconds") == -5


async def test_calls_are_counted_as_linkerd_counts_them(plane: Plane) -> None:
    await plane.certify()
    await plane.refused(token=b"x")
    head = 'grpc_server_handled_total{grpc_code="%s",grpc_method="Certify",'
    tail = 'grpc_service="io.linkerd.proxy.identity.Identity",grpc_type="unary"}'
    assert await plane.metric(head % "OK" + tail) == 1
    assert await plane.metric(head % "FailedPrecondition" + tail) == 1
    assert await plane.metric('identity_certify_total{result="issued"}') == 1


async def test_fault_of_our_own_is_internal_and_says_nothing(
    caplog: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    issuer, _ = throw_away(DOMAIN, now=NOW)
    settings = IdentitySettings(issuer=issuer, tokens=Broken(), clock=clock)
    async with planed(settings, tokens=WorkloadTokens()) as plane:
        code, details = await plane.refused()
        assert code is Code.INTERNAL
        assert details == "the identity service failed: see its log"
        assert await plane.metric('identity_certify_total{result="internal_error"}') == 1
    assert f"no answer about {IDENTITY}" in caplog.text


# The issuer's files


def write(directory: Path, *, anchors: Sequence[Signer], issuer: Signer) -> None:
    (directory / "ca-bundle.crt").write_bytes(b"".join(anchor.pem for anchor in anchors))
    (directory / "tls.crt").write_bytes(issuer.pem)
    (directory / "tls.key").write_bytes(issuer.key_pem)


class Rotating:
    """A control plane whose issuer is in files, with the two generations of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.old_root, self.new_root = Signer("old root"), Signer("new root")
        self.old = Signer("old issuer", by=self.old_root)
        self.new = Signer("new issuer", by=self.new_root)
        write(directory, anchors=[self.old_root], issuer=self.old)
        self.tokens = WorkloadTokens()

    def settings(self, clock: ManualClock) -> IdentitySettings:
        files = IssuerFiles.find(self.directory)
        return IdentitySettings(issuer=files, tokens=self.tokens, clock=clock, poll_s=POLL_S)


@pytest.fixture
def rotating(tmp_path: Path) -> Rotating:
    return Rotating(tmp_path)


async def issuer_name(plane: Plane) -> str:
    leaf = x509.load_der_x509_certificate((await plane.certify()).leaf_certificate)
    return leaf.issuer.rfc4514_string()


UPDATED = 'identity_issuer_updates_total{event="IssuerUpdated"}'
SKIPPED = 'identity_issuer_updates_total{event="IssuerUpdateSkipped"}'


async def test_new_issuer_takes_over_between_two_calls(
    rotating: Rotating, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with planed(rotating.settings(clock), tokens=rotating.tokens) as plane:
        seen = [await issuer_name(plane)]
        write(
            rotating.directory, anchors=[rotating.old_root, rotating.new_root], issuer=rotating.new
        )
        while seen[-1] != "CN=new issuer":
            seen.append(await issuer_name(plane))
        assert seen[:-1] == ["CN=old issuer"] * (len(seen) - 1)
        assert await plane.metric(UPDATED) == 1
        assert await plane.metric(SKIPPED) == 0
    assert "the issuer is now 'CN=new issuer', until" in caplog.text


async def test_proxies_that_start_are_to_trust_the_anchors_in_force(
    rotating: Rotating, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = rotating.old_root.pem, rotating.new_root.pem
    async with planed(rotating.settings(clock), tokens=rotating.tokens) as plane:
        assert plane.running.anchors == old
        bundle = rotating.directory / "ca-bundle.crt"
        bundle.write_bytes(b"no certificate")
        await eventually_async(lambda: "has no certificates in PEM" in caplog.text)
        assert plane.running.anchors == old
        bundle.write_bytes(old + new)
        await eventually_async(lambda: plane.running.anchors == old + new)
        assert await issuer_name(plane) == "CN=old issuer"


async def test_bad_set_is_told_once_and_changes_nothing(
    rotating: Rotating, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with planed(rotating.settings(clock), tokens=rotating.tokens) as plane:
        (rotating.directory / "tls.crt").write_bytes(rotating.new.pem)
        await eventually_async(lambda: "the issuer stays 'CN=old issuer'" in caplog.text)
        (rotating.directory / "tls.key").unlink()
        await eventually_async(lambda: "there is no such file" in caplog.text)
        assert await issuer_name(plane) == "CN=old issuer"
        told = [each.message for each in caplog.records if "the issuer stays" in each.message]
        assert len(told) == 2
        assert all("\n" not in each for each in told)
        assert "the key is not the one of the issuer certificate 'CN=new issuer'" in told[0]
        assert await plane.metric(SKIPPED) == 2
        write(rotating.directory, anchors=[rotating.new_root], issuer=rotating.new)
        while await issuer_name(plane) != "CN=new issuer":
            pass


async def test_issuer_that_was_installed_early_takes_over_in_time(
    rotating: Rotating, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    later = Signer("later issuer", by=rotating.old_root, starts=NOW + 3_600)
    async with planed(rotating.settings(clock), tokens=rotating.tokens) as plane:
        write(rotating.directory, anchors=[rotating.old_root], issuer=later)
        await eventually_async(lambda: "is not valid before" in caplog.text)
        assert await issuer_name(plane) == "CN=old issuer"
        clock.advance(3_600)
        while await issuer_name(plane) != "CN=later issuer":
            pass


async def test_files_swapped_by_a_link_are_seen(rotating: Rotating, clock: ManualClock) -> None:
    # Kubernetes mounts a Secret as links into a directory that it exchanges in one step.
    mount = rotating.directory / "mount"
    for name, roots, issuer in (
        ("old", [rotating.old_root], rotating.old),
        ("new", [rotating.new_root], rotating.new),
    ):
        (rotating.directory / name).mkdir()
        write(rotating.directory / name, anchors=roots, issuer=issuer)
    mount.mkdir()
    (mount / "..data").symlink_to(rotating.directory / "old")
    for name in ("ca-bundle.crt", "tls.crt", "tls.key"):
        (mount / name).symlink_to(Path("..data") / name)
    rotating.directory = mount
    async with planed(rotating.settings(clock), tokens=rotating.tokens) as plane:
        (mount / "..new").symlink_to(mount.parent / "new")
        (mount / "..new").rename(mount / "..data")
        while await issuer_name(plane) != "CN=new issuer":
            pass
        assert await plane.metric(SKIPPED) == 0


async def test_calls_under_way_see_one_issuer_or_the_other(
    rotating: Rotating, clock: ManualClock
) -> None:
    async with planed(rotating.settings(clock), tokens=rotating.tokens) as plane:
        der = csr(new_key())
        issuers = set()
        for generation in (rotating.new, rotating.old) * 3:
            root = rotating.new_root if generation is rotating.new else rotating.old_root
            write(rotating.directory, anchors=[root], issuer=generation)
            name = generation.subject.rfc4514_string()
            while name not in issuers:
                answers = await asyncio.gather(*(plane.certify(der=der) for _ in range(8)))
                for answer in answers:
                    leaf = x509.load_der_x509_certificate(answer.leaf_certificate)
                    above = x509.load_der_x509_certificate(answer.intermediate_certificates[0])
                    leaf.verify_directly_issued_by(above)
                    issuers.add(leaf.issuer.rfc4514_string())
            issuers.clear()


async def test_bad_files_at_the_start_are_an_error_and_leave_nothing(
    rotating: Rotating, clock: ManualClock
) -> None:
    (rotating.directory / "tls.key").write_text("")
    with pytest.raises(IssuerError, match=r"tls\.key: has no private key"):
        await build_embedded(LocalMesh().store, identity=rotating.settings(clock))


# Leaves in handshakes


async def tls_of(
    plane: Plane, directory: Path, *, anchor_pem: bytes, server: bool
) -> ssl.SSLContext:
    key = new_key()
    answer = await plane.certify(key)
    ders = [answer.leaf_certificate, *answer.intermediate_certificates]
    chain = directory / f"chain-{server}.pem"
    chain.write_text("".join(map(ssl.DER_cert_to_PEM_cert, ders)))
    key_file = directory / f"key-{server}.pem"
    key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    tls.minimum_version = ssl.TLSVersion.TLSv1_3
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(cadata=anchor_pem.decode())
    tls.load_cert_chain(chain, key_file)
    return tls


def shake_hands(
    client_tls: ssl.SSLContext, server_tls: ssl.SSLContext, *, name: str
) -> ssl.SSLObject:
    """In memory, until both ends are content; the server's end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_tls.wrap_bio(to_client, to_server, server_hostname=name)
    server = server_tls.wrap_bio(to_server, to_client, server_side=True)
    left = [client, server]
    for _ in range(10):
        for end in list(left):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            left.remove(end)
        if not left:
            return server
    raise AssertionError("no end of the handshake")


async def test_two_workloads_prove_to_each_other_who_they_are(tmp_path: Path) -> None:
    clock = SystemClock()
    issuer, anchor_pem = throw_away(DOMAIN, now=clock.wall())
    tokens = WorkloadTokens()
    validity = Validity(lifetime=timedelta(minutes=5))
    settings = IdentitySettings(issuer=issuer, tokens=tokens, validity=validity)
    async with planed(settings, tokens=tokens) as plane:
        client = await tls_of(plane, tmp_path, anchor_pem=anchor_pem, server=False)
        server = await tls_of(plane, tmp_path, anchor_pem=anchor_pem, server=True)
    proven = shake_hands(client, server, name=IDENTITY).getpeercert()
    assert proven is not None
    assert proven["subjectAltName"] == (("DNS", IDENTITY),)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(client, server, name=OTHER)
    _, stranger = throw_away(DOMAIN, now=clock.wall())
    wary = ssl.create_default_context(cadata=stranger.decode())
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        shake_hands(wary, server, name=IDENTITY)
