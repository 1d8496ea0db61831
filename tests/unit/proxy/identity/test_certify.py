"""One call of Certify: what is asked, what is taken for an answer, and why the rest is not. The certificates
are real.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from linkerd2_py.base.clock import ManualClock, SystemClock
from linkerd2_py.base.grpc.status import Code, GrpcError
from linkerd2_py.proto.gen import identity_pb2 as messages
from linkerd2_py.proxy.addresses import Authority
from linkerd2_py.proxy.config.types import Identity
from linkerd2_py.proxy.config.types import Service as ControlService
from linkerd2_py.proxy.identity.certify import Certifier, CertifyError, IdentityError
from tests.support.workloads import DAY_S, MeshAuthority, Workload, name_of

WEB = name_of("web")
HOUR_S = 3600
Played = messages.CertifyResponse | GrpcError | bytes


def answer(
    workload: Workload, *, until: float | None, intermediates: int | None = None
) -> messages.CertifyResponse:
    """The certificate of `workload`. `until`: what the answer says, None nothing; `intermediates`: how many
    of them, None all.
    """
    leaf, *others = workload.chain
    made = messages.CertifyResponse(
        leaf_certificate=leaf, intermediate_certificates=others[:intermediates]
    )
    if until is not None:
        made.valid_until.FromMilliseconds(round(until * 1000))
    return made


class Service:
    """Asks for the certificate of one workload, and answers that with what `play` says. Its clock starts at
    the real time, which certificates are held against.
    """

    def __init__(self, folder: Path, mesh: MeshAuthority, workload: Workload) -> None:
        self.clock = ManualClock(epoch=SystemClock().wall())
        self.workload = workload
        self.play: Callable[[], Played] = self.certificate
        self.asked: list[messages.CertifyRequest] = []
        self.token = folder / "token"
        self.token.write_bytes(b"first token\n")
        (folder / "key.p8").write_bytes(workload.key_der)
        (folder / "csr.der").write_bytes(b"the request")
        self.config = Identity(
            service=ControlService(Authority("127.0.0.1", 8080), ""),
            trust_anchors=mesh.anchors,
            directory=str(folder),
            token_file=str(self.token),
            local_name=WEB,
            min_refresh_s=10,
            max_refresh_s=DAY_S,
        )
        self.certifier = self.make()

    def make(self) -> Certifier:
        return Certifier(self, config=self.config, clock=self.clock)  # type: ignore[arg-type]

    async def unary(self, path: str, message: bytes, *, timeout_s: float) -> bytes:
        """As GrpcClient."""
        assert path == "/io.linkerd.proxy.identity.Identity/Certify"
        assert 0 < timeout_s <= 10
        self.asked.append(messages.CertifyRequest.FromString(message))
        played = self.play()
        if isinstance(played, GrpcError):
            raise played
        return played if isinstance(played, bytes) else played.SerializeToString()

    def certificate(self) -> messages.CertifyResponse:
        return answer(self.workload, until=self.clock.wall() + HOUR_S)

    async def refused(self) -> str:
        with pytest.raises(CertifyError) as caught:
            await self.certifier.certify()
        text = str(caught.value)
        assert "\n" not in text
        assert "first token" not in text
        return text


@pytest.fixture
def mesh() -> MeshAuthority:
    return MeshAuthority()


@pytest.fixture
def service(mesh: MeshAuthority, tmp_path: Path) -> Service:
    return Service(tmp_path, mesh, mesh.workload("web"))


async def test_a_certificate_becomes_credentials(service: Service) -> None:
    found = await service.certifier.certify()
    assert found.credentials.name == WEB
    assert found.valid_until == pytest.approx(service.clock.wall() + HOUR_S, abs=0.01)


async def test_the_request_says_who_asks_and_proves_it(service: Service) -> None:
    await service.certifier.certify()
    (asked,) = service.asked
    assert asked.identity == WEB
    assert asked.token == b"first token\n"
    assert asked.certificate_signing_request == b"the request"


async def test_the_token_is_read_each_time(service: Service) -> None:
    await service.certifier.certify()
    service.token.write_bytes(b"second token\n")
    await service.certifier.certify()
    assert [asked.token for asked in service.asked] == [b"first token\n", b"second token\n"]


async def test_without_a_token_nobody_is_asked(service: Service) -> None:
    service.token.write_bytes(b" \n")
    assert await service.refused() == (
        f"LINKERD2_PROXY_IDENTITY_TOKEN_FILE: {service.token} is empty"
    )
    service.token.unlink()
    assert "No such file or directory" in await service.refused()
    assert not service.asked


async def test_whichever_ends_first_is_the_end(service: Service) -> None:
    service.play = lambda: answer(service.workload, until=service.clock.wall() + 10 * DAY_S)
    found = await service.certifier.certify()
    assert found.valid_until == found.credentials.not_after
    assert found.valid_until < service.clock.wall() + DAY_S


@pytest.mark.parametrize("code", [one for one in Code if one is not Code.OK])
async def test_every_code_is_a_reason(service: Service, code: Code) -> None:
    service.play = lambda: GrpcError(code, "for a reason")
    assert await service.refused() == f"the identity service answered {code.name}: for a reason"


async def test_bytes_that_are_no_answer(service: Service) -> None:
    service.play = lambda: b"\xff\xff"
    assert "cannot be read" in await service.refused()


async def test_an_answer_must_say_until_when(service: Service) -> None:
    service.play = lambda: answer(service.workload, until=None)
    assert "without an end" in await service.refused()


@pytest.mark.parametrize("ago_s", [0, 1, 86_400])
async def test_an_answer_that_has_ended(service: Service, ago_s: int) -> None:
    service.play = lambda: answer(service.workload, until=int(service.clock.wall()) - ago_s)
    assert "has ended already" in await service.refused()


@pytest.mark.parametrize("names", [[name_of("voting")], [WEB, name_of("voting")], []], ids=len)
async def test_a_certificate_for_somebody_else(
    mesh: MeshAuthority, tmp_path: Path, names: list[str]
) -> None:
    found = Service(tmp_path, mesh, mesh.workload("web", names=names))
    assert await found.refused() == f"the certificate is not for {WEB} alone"


async def test_a_certificate_that_no_anchor_vouches_for(
    mesh: MeshAuthority, tmp_path: Path
) -> None:
    found = Service(tmp_path, mesh, MeshAuthority().workload("web"))
    assert "does not lead to a trust anchor" in await found.refused()


async def test_a_certificate_without_what_is_between_it_and_the_anchor(service: Service) -> None:
    until = service.clock.wall() + HOUR_S
    service.play = lambda: answer(service.workload, until=until, intermediates=0)
    assert "does not lead to a trust anchor" in await service.refused()


async def test_a_certificate_for_another_key(mesh: MeshAuthority, service: Service) -> None:
    other = mesh.workload("web")
    service.play = lambda: answer(other, until=service.clock.wall() + HOUR_S)
    assert "key" in await service.refused()


async def test_an_answer_without_a_certificate(service: Service) -> None:
    empty = service.certificate()
    empty.leaf_certificate = b""
    service.play = lambda: empty
    assert "certificate" in await service.refused()


def test_files_that_cannot_be_used_are_all_named(service: Service, tmp_path: Path) -> None:
    (tmp_path / "key.p8").write_bytes(bytes(70_000))
    (tmp_path / "csr.der").write_bytes(b"")
    service.token.unlink()
    with pytest.raises(IdentityError) as caught:
        service.make()
    assert str(caught.value).splitlines() == [
        f"LINKERD2_PROXY_IDENTITY_DIR: {tmp_path}/key.p8 is larger than 65536 bytes",
        f"LINKERD2_PROXY_IDENTITY_DIR: {tmp_path}/csr.der is empty",
        f"LINKERD2_PROXY_IDENTITY_TOKEN_FILE: cannot read {service.token}: No such file or directory",
    ]
