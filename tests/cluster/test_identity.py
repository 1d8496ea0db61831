"""Certificates for service accounts of a real API server, beside what Linkerd's identity answered there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from linkerd2_py.base.clock import SystemClock
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import destination_pb2_grpc as destination_stubs
from linkerd2_py.proto.gen import identity_pb2 as messages
from linkerd2_py.proto.gen import identity_pb2_grpc as stubs
from tests.support.certificates import Signer, common_name, csr, dns_names, new_key
from tests.support.cluster.control_plane import ControlPlane
from tests.support.cluster.controller import START_S, Controller
from tests.support.cluster.kubectl import Kubectl
from tests.support.wait import eventually, eventually_async, in_time

pytestmark = pytest.mark.timeout(300)

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "contract"
RECORDINGS = ("identity/certify.json", "destination/real-apiserver/certify.json")
SPACE = "certified"
WEB = f"web.{SPACE}.serviceaccount.identity.linkerd.cluster.local"
OTHER_DOMAIN = f"web.{SPACE}.serviceaccount.identity.linkerd.example.org"
API_SERVER = "https://kubernetes.default.svc.cluster.local"
AUDIENCE = "identity.l5d.io"
STRANGER = f"x.{SPACE}.serviceaccount.identity.linkerd.cluster.local"
DIFFERENT = {
    "subject": "a name that stands in the SAN is not said twice, and is too long for a subject",
    "extensions": "basicConstraints says that it is no authority; subjectKeyIdentifier, the SAN critical",
    "ku": "keys of elliptic curves encipher no keys",
    "serial_bits": "serial numbers are random, as browsers' rules for authorities ask",
    "not_before_skew_s": "the second in which it is made is cut off here or there",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A request for a certificate."""

    token: bytes
    der: bytes
    identity: str = WEB

    def request(self) -> messages.CertifyRequest:
        return messages.CertifyRequest(
            identity=self.identity, token=self.token, certificate_signing_request=self.der
        )


def authority(name: str, *, by: Signer | None = None) -> Signer:
    return Signer(name, by=by, starts=SystemClock().wall() - 60)


class Mounts:
    """What Kubernetes mounts for the identity service, each a folder whose files are links through `..data`."""

    def __init__(self, root: Path) -> None:
        self.issuer, self.trust_roots = root / "issuer", root / "trust-roots"
        self.root = authority("root.linkerd.cluster.local")
        self.show(self.trust_roots, {"ca-bundle.crt": self.root.pem})
        self.renew("identity.linkerd.cluster.local")

    def renew(self, name: str, *, by: Signer | None = None) -> Signer:
        issuer = authority(name, by=by or self.root)
        self.show(self.issuer, {"crt.pem": issuer.pem, "key.pem": issuer.key_pem})
        return issuer

    def show(self, mount: Path, files: dict[str, bytes]) -> None:
        """As kubelet does it: a new folder, and one link that is moved to it."""
        version = mount / f"..{time.monotonic_ns()}"
        version.mkdir(parents=True)
        for name, content in files.items():
            (version / name).write_bytes(content)
            if not (mount / name).is_symlink():
                (mount / name).symlink_to(Path("..data", name))
        link = mount / "..data_tmp"
        link.symlink_to(version.name)
        os.replace(link, mount / "..data")  # noqa: PTH105


@pytest.fixture(scope="module")
def mounts(tmp_path_factory: pytest.TempPathFactory) -> Mounts:
    return Mounts(tmp_path_factory.mktemp("mounts"))


@pytest.fixture(scope="module")
def identity(
    control_plane: ControlPlane, mounts: Mounts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Controller]:
    """The process, before a cluster that has the accounts `web` and `db`."""
    kubectl = Kubectl(control_plane.kubeconfig)
    for words in (
        ("create", "namespace", SPACE),
        ("create", "namespace", "linkerd"),
        ("create", "serviceaccount", "web", f"--namespace={SPACE}"),
        ("create", "serviceaccount", "db", f"--namespace={SPACE}"),
        ("create", "deployment", "linkerd-identity", "--image=none", "--namespace=linkerd"),
    ):
        kubectl(*words)
    where = ("--issuer", mounts.issuer, "--trust-roots", mounts.trust_roots)
    folder = tmp_path_factory.mktemp("identity")
    with Controller(
        "identity", *where, "--kubeconfig", control_plane.kubeconfig, folder=folder
    ) as running:
        running.wait_ready()
        yield running
    kubectl("delete", "namespace", SPACE, "linkerd", "--wait=false")


@pytest.fixture
def token(kubectl: Kubectl) -> Callable[..., bytes]:
    """Of an account, for some audiences, as a pod's volume would have it."""

    def make(*audiences: str, account: str = "web") -> bytes:
        words = [f"--audience={one}" for one in audiences or (AUDIENCE,)]
        made = kubectl("create", "token", account, f"--namespace={SPACE}", *words)
        return made.strip().encode()

    return make


def cases(token: Callable[..., bytes]) -> dict[str, Case]:
    web, key = token(), new_key()
    good = csr(key, extensions=[dns_names(WEB)])

    def names(*found: x509.GeneralName) -> bytes:
        return csr(key, extensions=[(x509.SubjectAlternativeName(found), False)])

    dns = x509.DNSName(WEB)
    return {
        "ok": Case(web, csr(key, extensions=[dns_names(WEB)], subject=common_name(WEB))),
        "ok-san-only": Case(web, good),
        "cn-only": Case(web, csr(key, extensions=[], subject=common_name(WEB))),
        "audience-both": Case(token(AUDIENCE, API_SERVER), good),
        "legacy-audience-apiserver": Case(token(API_SERVER), good),
        "other-service-account": Case(token(account="db"), good),
        "garbage-token": Case(b"garbage", good),
        "empty-token": Case(b"", good),
        # The shortest that an API server gives lives for ten minutes: nobody waited for its end.
        "expired-token": Case(web, good),
        "empty-identity": Case(web, good, identity=""),
        "empty-csr": Case(web, b""),
        "bad-csr": Case(web, b"abc"),
        "csr-other-name": Case(web, csr(key, extensions=[dns_names(STRANGER)])),
        "csr-two-sans": Case(web, csr(key, extensions=[dns_names(WEB, STRANGER)])),
        "csr-ip-san": Case(web, names(dns, x509.IPAddress(ip_address("192.0.2.1")))),
        "csr-uri-san": Case(web, names(dns, x509.UniformResourceIdentifier("spiffe://a/b"))),
        "csr-rsa-key": Case(
            web, csr(rsa.generate_private_key(65537, 2048), extensions=[dns_names(WEB)])
        ),
        "identity-other-domain": Case(
            web, csr(key, extensions=[dns_names(OTHER_DOMAIN)]), identity=OTHER_DOMAIN
        ),
        "identity-not-a-name": Case(web, csr(key, extensions=[dns_names("web")]), identity="web"),
    }


def described(answer: messages.CertifyResponse) -> dict[str, Any]:
    """A certificate in the words of the recordings."""
    leaf = x509.load_der_x509_certificate(answer.leaf_certificate)
    above = map(x509.load_der_x509_certificate, answer.intermediate_certificates)
    starts, ends = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    until = answer.valid_until.ToDatetime(UTC)
    usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    name = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {
        "code": "OK",
        "subject": leaf.subject.rfc4514_string(),
        "issuer": leaf.issuer.rfc4514_string(),
        "san": name.get_values_for_type(x509.DNSName),
        "not_before_skew_s": round((datetime.now(UTC) - starts).total_seconds()),
        "lifetime_s": (ends - starts).total_seconds(),
        "valid_until_minus_not_after_s": (until - ends).total_seconds(),
        "valid_until_nanos": answer.valid_until.nanos,
        "intermediates": [one.subject.rfc4514_string() for one in above],
        "extensions": [
            one.oid._name + "!" * one.critical
            for one in leaf.extensions  # type: ignore[attr-defined]
        ],
        "serial_bits": leaf.serial_number.bit_length(),
        "sig": "ecdsa-with-SHA256",
        "ku": ["digital_signature"],
        "eku": [one._name for one in usages],
    }


async def answered(identity: Controller, case: Case) -> dict[str, Any]:
    async with grpc.aio.insecure_channel(identity.address) as channel:
        try:
            call = stubs.IdentityStub(channel).Certify(case.request())
            return described(await in_time(call, START_S))
        except grpc.aio.AioRpcError as error:
            return {"code": error.code().name}


@pytest.mark.parametrize("recording", RECORDINGS)
async def test_answers_are_those_of_linkerds_identity(
    identity: Controller, token: Callable[..., bytes], recording: str
) -> None:
    if not (RECORDED / recording).exists():
        pytest.skip("the recordings of Linkerd's answers are not beside the project")
    recorded = json.loads((RECORDED / recording).read_text().replace(".shop.", f".{SPACE}."))
    asked = cases(token)
    assert set(recorded) <= set(asked)
    differences = set()
    for name, theirs in recorded.items():
        ours = await answered(identity, asked[name])
        assert ours["code"] == theirs["code"], name
        found = {field for field, value in ours.items() if value != theirs[field]}
        assert found <= set(DIFFERENT), (name, ours, theirs)
        differences |= found
    # What is not different any more is not to be listed.
    assert set(DIFFERENT) - differences <= {"not_before_skew_s"}


@pytest.mark.parametrize(
    ("audience", "code"),
    [(AUDIENCE, "OK"), (API_SERVER, "OK"), ("somebody-else", "INVALID_ARGUMENT")],
)
async def test_whom_a_token_is_meant_for(
    identity: Controller, token: Callable[..., bytes], audience: str, code: str
) -> None:
    asked = Case(token(audience), csr(new_key(), extensions=[dns_names(WEB)]))
    assert (await answered(identity, asked))["code"] == code


async def test_who_somebody_is_said_to_be_is_whose_token_it_is(
    identity: Controller, token: Callable[..., bytes]
) -> None:
    asked = Case(token(account="db"), csr(new_key(), extensions=[dns_names(WEB)]))
    assert (await answered(identity, asked))["code"] == "FAILED_PRECONDITION"


async def test_a_new_issuer_is_taken_when_it_is_mounted_and_told(
    identity: Controller,
    token: Callable[..., bytes],
    kubectl: Kubectl,
    mounts: Mounts,
) -> None:
    """One that is no good is refused, and told as well."""

    def events(reason: str) -> list[dict[str, Any]]:
        selected = f"--field-selector=reason={reason}"
        found = kubectl("get", "events", "--namespace=linkerd", selected, "--output=json")
        return list(json.loads(found)["items"])

    mounts.renew("identity.other", by=authority("nobody's"))
    eventually(lambda: events("IssuerUpdateSkipped"), deadline_s=START_S)
    asked = Case(token(), csr(new_key(), extensions=[dns_names(WEB)]))
    assert (await answered(identity, asked))["issuer"] == "CN=identity.linkerd.cluster.local"
    mounts.renew("identity.second")
    eventually(lambda: events("IssuerUpdated"), deadline_s=START_S)
    assert (await answered(identity, asked))["issuer"] == "CN=identity.second"
    (skipped,) = events("IssuerUpdateSkipped")
    assert skipped["type"] == "Warning"
    assert "no trust anchor issued" in skipped["message"]
    about = skipped["involvedObject"]
    assert (about["kind"], about["name"]) == ("Deployment", "linkerd-identity")
    assert about["uid"]
    mounts.renew("identity.linkerd.cluster.local")
    eventually(lambda: len(events("IssuerUpdated")) == 2, deadline_s=START_S)


async def test_a_proxy_api_passes_certify_on(
    identity: Controller, token: Callable[..., bytes], tmp_path: Path
) -> None:
    """With the answer as it is, good or not."""
    words = ("--destination-addr", "127.0.0.1:1", "--identity-addr", identity.address)
    good = Case(token(), csr(new_key(), extensions=[dns_names(WEB)]))
    with Controller("proxy-api", *words, folder=tmp_path) as front:
        assert (await answered(front, good))["san"] == [WEB]
        stranger = replace(good, token=token(account="db"))
        assert (await answered(front, stranger))["code"] == "FAILED_PRECONDITION"
        # Nothing was heard of a destination.
        assert front.ask("/ready")[0] == 503
        assert front.stop() == 0


async def test_one_process_can_be_all_that_proxies_ask(
    control_plane: ControlPlane,
    token: Callable[..., bytes],
    mounts: Mounts,
    tmp_path: Path,
) -> None:
    where = ("--issuer", mounts.issuer, "--trust-roots", mounts.trust_roots)
    words = (*where, "--kubeconfig", control_plane.kubeconfig)
    with Controller("proxy-api", *words, folder=tmp_path) as running:
        running.wait_ready()
        case = Case(token(), csr(new_key(), extensions=[dns_names(WEB)]))
        assert (await answered(running, case))["san"] == [WEB]
        async with grpc.aio.insecure_channel(running.address) as channel:
            asked = destination.GetDestination(path="127.0.0.9:80")
            call = destination_stubs.DestinationStub(channel).GetProfile(asked)
            assert (await in_time(call.read(), START_S)).HasField("endpoint")
        assert running.stop() == 0


async def test_an_account_that_is_gone_gets_nothing(
    identity: Controller, token: Callable[..., bytes], kubectl: Kubectl
) -> None:
    kubectl("create", "serviceaccount", "gone", f"--namespace={SPACE}")
    name = WEB.replace("web.", "gone.", 1)
    asked = Case(token(account="gone"), csr(new_key(), extensions=[dns_names(name)]), identity=name)
    # Before it was asked about: an API server remembers for a while whom it knew.
    kubectl("delete", "serviceaccount", "gone", f"--namespace={SPACE}")

    async def is_refused() -> bool:
        return (await answered(identity, asked))["code"] == "INVALID_ARGUMENT"

    await eventually_async(is_refused, deadline_s=START_S)


def test_who_may_not_review_tokens_is_not_ready(
    control_plane: ControlPlane, mounts: Mounts, tmp_path: Path
) -> None:
    where = ("--issuer", mounts.issuer, "--trust-roots", mounts.trust_roots)
    config = control_plane.kubeconfig_of("no-reviews")
    with Controller("identity", *where, "--kubeconfig", config, folder=tmp_path) as running:
        wanted = "tokenreviews.authentication.k8s.io: this account may not create them\n"
        eventually(lambda: running.ask("/ready") == (503, wanted), deadline_s=START_S)
        assert running.stop() == 0


def test_an_issuer_that_cannot_be_used_ends_the_start_and_is_told(
    control_plane: ControlPlane, identity: Controller, kubectl: Kubectl, tmp_path: Path
) -> None:
    mounts = Mounts(tmp_path)
    mounts.renew("identity.other", by=authority("nobody's"))
    where = ("--issuer", mounts.issuer, "--trust-roots", mounts.trust_roots)
    words = (*where, "--kubeconfig", control_plane.kubeconfig)
    with Controller("identity", *words, folder=tmp_path) as running:
        assert running.child.wait(deadline_s=START_S) == 1
        *_, last = running.child.output().splitlines()
        assert last.startswith(f"linkerd2-py: {mounts.issuer}/crt.pem: no trust anchor issued")
    selected = "--field-selector=reason=IssuerValidationFailed"
    assert "no trust anchor issued" in kubectl("get", "events", "--namespace=linkerd", selected)
