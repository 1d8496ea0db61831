"""Anchors and issuer from files: the names they may have, and what is said about bad ones."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from linkerd2_py.controlplane.errors import IssuerError
from linkerd2_py.controlplane.identity.files import ISSUER_NAMES, IssuerFiles
from tests.support.certificates import NOW, Signer, openssl

ROOT = Signer("root")
ISSUER = Signer("issuer", by=ROOT)
CONTENTS = ["empty", "text", "other", "cut"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "ca-bundle.crt").write_bytes(ROOT.pem)
    (tmp_path / "crt.pem").write_bytes(ISSUER.pem)
    (tmp_path / "key.pem").write_bytes(ISSUER.key_pem)
    return tmp_path


def problem(directory: Path) -> str:
    with pytest.raises(IssuerError) as caught:
        IssuerFiles.find(directory).load(now=NOW)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("certificate", "key"), ISSUER_NAMES)
@pytest.mark.parametrize("anchors", ["ca-bundle.crt", "ca.crt"])
def test_names_of_linkerd_kubernetes_and_ours(
    tmp_path: Path, certificate: str, key: str, anchors: str
) -> None:
    (tmp_path / anchors).write_bytes(ROOT.pem)
    (tmp_path / certificate).write_bytes(ISSUER.pem)
    (tmp_path / key).write_bytes(ISSUER.key_pem)
    issuer = IssuerFiles.find(tmp_path).load(now=NOW)
    assert issuer.certificate == ISSUER.certificate


def test_anchors_in_another_directory(directory: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "roots"
    elsewhere.mkdir()
    (directory / "ca-bundle.crt").rename(elsewhere / "ca-bundle.crt")
    assert "has no trust anchors: put them into ca-bundle.crt" in problem(directory)
    assert IssuerFiles.find(directory, anchors=elsewhere).load(now=NOW).chain


def test_several_anchors_and_certificates_between(directory: Path) -> None:
    between = Signer("between", by=ROOT)
    low = Signer("low", by=between)
    (directory / "ca-bundle.crt").write_bytes(Signer("other").pem + ROOT.pem)
    (directory / "crt.pem").write_bytes(low.pem + between.pem)
    (directory / "key.pem").write_bytes(low.key_pem)
    issuer = IssuerFiles.find(directory).load(now=NOW)
    assert issuer.chain == (low.certificate, between.certificate)


def test_keys_as_openssl_writes_them(directory: Path) -> None:
    for words in ("ec -no_public -param_enc named_curve", "pkcs8 -topk8 -nocrypt"):
        (directory / "key.pem").write_text(
            openssl(*words.split(), stdin=ISSUER.key_pem).removeprefix("read EC key\n")
        )
        assert IssuerFiles.find(directory).load(now=NOW).chain


def test_none_or_two_issuers(directory: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "has none of the issuer's files crt.pem with key.pem, tls.crt with" in problem(empty)
    (directory / "tls.crt").write_bytes(ISSUER.pem)
    assert "has several of the issuer's files" in problem(directory)


@pytest.mark.parametrize("name", ["crt.pem", "key.pem"])
def test_missing_half_of_an_issuer(directory: Path, name: str) -> None:
    (directory / name).unlink()
    assert problem(directory).endswith(f"{name}: there is no such file")


@pytest.mark.parametrize("name", ["ca-bundle.crt", "crt.pem"])
@pytest.mark.parametrize("content", [b"", b"hello", ISSUER.key_pem, ISSUER.pem[:100]], ids=CONTENTS)
def test_file_without_certificates(directory: Path, name: str, content: bytes) -> None:
    (directory / name).write_bytes(content)
    assert f"{name}: has no certificates in PEM" in problem(directory)


@pytest.mark.parametrize("content", [b"", b"hello", ISSUER.pem, ISSUER.key_pem[:100]], ids=CONTENTS)
def test_file_without_a_key(directory: Path, content: bytes) -> None:
    (directory / "key.pem").write_bytes(content)
    assert problem(directory).endswith("key.pem: has no private key in PEM that can be read")


def test_encrypted_key(directory: Path) -> None:
    (directory / "key.pem").write_bytes(
        ISSUER.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    assert "key.pem: the key is encrypted: store it without a password" in problem(directory)


def test_file_that_is_none(directory: Path) -> None:
    (directory / "key.pem").unlink()
    (directory / "key.pem").mkdir()
    assert "key.pem: there is no such file" in problem(directory)


def test_file_that_is_too_large(directory: Path) -> None:
    (directory / "ca-bundle.crt").write_bytes(ROOT.pem + b"\n" * 1024 * 1024)
    assert "ca-bundle.crt: is larger than" in problem(directory)


def test_set_that_does_not_fit_together_names_the_issuers_file(directory: Path) -> None:
    (directory / "key.pem").write_bytes(ROOT.key_pem)
    found = problem(directory)
    assert found.startswith(f"{directory / 'crt.pem'}: the key is not the one")


def test_stamps_change_with_each_file(directory: Path) -> None:
    files = IssuerFiles.find(directory)
    for path in (files.anchors, files.certificate, files.key):
        before = files.stamps()
        path.write_bytes(path.read_bytes() + b"\n")
        assert files.stamps() != before
        path.unlink()
        assert None in files.stamps()
        path.write_bytes(b"")
