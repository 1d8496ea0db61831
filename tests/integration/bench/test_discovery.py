"""The control plane of the benchmarks answers as the real one does, because it is."""

import itertools
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificate

from bench.certificates import make_certificates
from bench.discovery import AUTHORITY, PORT
from linkerd2_py.proto.gen import destination_pb2 as destination
from linkerd2_py.proto.gen import identity_pb2 as identity
from tests.support.certificates import csr, dns_names, new_key
from tests.support.processes import Child
from tests.support.wait import patience

ROOT = Path(__file__).parents[3]
GET = "/io.linkerd.proxy.destination.Destination/Get"
CERTIFY = "/io.linkerd.proxy.identity.Identity/Certify"
NAME = "server.bench.serviceaccount.identity.linkerd.cluster.local"


@contextmanager
def discovery(folder: Path, *words: str) -> Iterator[tuple[str, Child]]:
    argv = [sys.executable, "-m", "bench.discovery", *words]
    with Child.start(argv, log=folder / "log", env={"PYTHONPATH": str(ROOT)}) as child:
        yield child.wait_for_line(r'^\{"address": "(\S+)"\}$').group(1), child


async def updates(address: str, count: int) -> list[destination.Update]:
    """The first updates of the service's endpoints."""
    found = []
    async with grpc.aio.insecure_channel(address) as channel:
        get = channel.unary_stream(
            GET,
            request_serializer=destination.GetDestination.SerializeToString,
            response_deserializer=destination.Update.FromString,
        )
        stream = get(
            destination.GetDestination(path=f"{AUTHORITY}:{PORT}"), timeout=10 * patience()
        )
        async for update in stream:
            found.append(update)
            if len(found) == count:
                stream.cancel()
                break
    return found


def ports(update: destination.Update) -> set[int]:
    return {address.addr.port for address in update.add.addrs}


async def test_endpoints_are_the_addresses_that_were_given(tmp_path: Path) -> None:
    words = ("--endpoint=127.0.0.1:4001", "--endpoint=127.0.0.2:4002")
    with discovery(tmp_path, *words) as (address, _):
        (update,) = await updates(address, 1)
    assert ports(update) == {4001, 4002}
    assert not any(each.protocol_hint.HasField("h2") for each in update.add.addrs)


async def test_meshed_endpoints_are_hinted_to_speak_http2(tmp_path: Path) -> None:
    with discovery(tmp_path, "--endpoint=127.0.0.1:4001", "--meshed") as (address, _):
        (update,) = await updates(address, 1)
    assert all(each.protocol_hint.HasField("h2") for each in update.add.addrs)


async def test_passing_endpoints_come_and_go_and_the_others_stay(tmp_path: Path) -> None:
    words = ("--endpoint=127.0.0.1:4001", "--passing=127.0.0.1:5001", "--updates=200")
    with discovery(tmp_path, *words) as (address, child):
        found = await updates(address, 9)
        child.send(signal.SIGTERM)
        assert child.wait() == 0
        counted = json.loads(child.output().splitlines()[-1])
    # The first message is the whole set at that moment; then additions and removals alternate.
    assert 4001 in ports(found[0])
    changes = [update.WhichOneof("update") for update in found[1:]]
    assert set(changes) == {"add", "remove"}
    assert all(left != right for left, right in itertools.pairwise(changes))
    for update in found[1:]:
        moved = ports(update) | {each.port for each in update.remove.addrs}
        assert moved == {5001}
    assert counted["updates"] >= 8


async def test_what_answers_at_an_endpoint_proves_to_be_whom_we_said(tmp_path: Path) -> None:
    words = ("--endpoint=127.0.0.1:4001", "--meshed", f"--identity={NAME}")
    with discovery(tmp_path, *words) as (address, _):
        (update,) = await updates(address, 1)
    (endpoint,) = update.add.addrs
    assert endpoint.tls_identity.dns_like_identity.name == NAME


async def test_workloads_are_certified_by_the_tokens_that_were_stored(tmp_path: Path) -> None:
    issuer, token = tmp_path / "issuer", tmp_path / "token"
    issuer.mkdir()
    made = make_certificates(issuer)
    with discovery(tmp_path, f"--issuer={issuer}", f"--token={NAME}={token}") as (address, _):
        assert token.stat().st_mode & 0o777 == 0o600
        request = identity.CertifyRequest(
            identity=NAME,
            token=token.read_bytes(),
            certificate_signing_request=csr(new_key(), extensions=[dns_names(NAME)]),
        )
        async with grpc.aio.insecure_channel(address) as channel:
            certify = channel.unary_unary(
                CERTIFY,
                request_serializer=identity.CertifyRequest.SerializeToString,
                response_deserializer=identity.CertifyResponse.FromString,
            )
            answer = await certify(request, timeout=10 * patience())
    leaf = load_der_x509_certificate(answer.leaf_certificate)
    above = load_der_x509_certificate(answer.intermediate_certificates[0])
    leaf.verify_directly_issued_by(above)
    above.verify_directly_issued_by(load_pem_x509_certificate(made.anchors.read_bytes()))


@pytest.mark.parametrize(
    ("word", "complaint"),
    [("--token=a", "must be NAME=FILE, not 'a'"), ("--token=a=b", "--token needs --issuer")],
)
def test_a_token_has_a_file_and_an_issuer(tmp_path: Path, word: str, complaint: str) -> None:
    argv = [sys.executable, "-m", "bench.discovery", word]
    with Child.start(argv, log=tmp_path / "log", env={"PYTHONPATH": str(ROOT)}) as child:
        assert child.wait() == 2
        assert complaint in child.output()


def test_changes_need_endpoints_that_pass(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "bench.discovery", "--updates=5"]
    with Child.start(argv, log=tmp_path / "log", env={"PYTHONPATH": str(ROOT)}) as child:
        assert child.wait() == 2
        assert "needs endpoints that pass" in child.output()
