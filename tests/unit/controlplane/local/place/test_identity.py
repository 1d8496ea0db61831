"""Tokens of pods and their folders: what proxies are told, who may read it, and that it ends with the pod."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.local.place.identity import (
    Issuance,
    PodIdentities,
    PodIdentity,
)
from tests.support.privileges import need_root

WEB = "front.shop.serviceaccount.identity.linkerd.cluster.local"
PROXY_UID = 2102


class Issued:
    """Identities below a folder, and what became of their tokens."""

    def __init__(self, folder: Path, *, uid: int | None = None) -> None:
        self.folder = folder
        self.tokens = WorkloadTokens()
        self.anchors = b"old"
        issuance = Issuance("127.0.0.1:8086", tokens=self.tokens, anchors=lambda: self.anchors)
        self.identities = PodIdentities(folder, issuance=issuance, uid=uid)
        self.identities.open()

    def issue(self, pod: str = "web-0") -> PodIdentity:
        return self.identities.issue(pod, service_account="front", namespace="shop")

    async def is_proof(self, token: bytes) -> bool:
        try:
            await self.tokens.check(token, identity=WEB)
        except RefusedError as refusal:
            assert refusal.reason is Reason.NOT_AUTHENTICATED  # noqa: PT017
            return False
        return True


@pytest.fixture
def issued(tmp_path: Path) -> Iterator[Issued]:
    # Nothing may be left to the umask.
    before = os.umask(0)
    yield Issued(tmp_path / "identity")
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_proxy_is_told_who_it_is_and_how_to_prove_it(issued: Issued) -> None:
    web = issued.issue()
    folder = issued.folder / "web-0"
    assert web.name == WEB
    assert web.folder == folder
    assert web.settings == {
        "IDENTITY_SVC_ADDR": "127.0.0.1:8086",
        "IDENTITY_SVC_NAME": "linkerd-proxy-api.linkerd.serviceaccount.identity.linkerd.cluster.local",
        "IDENTITY_TRUST_ANCHORS": "old",
        "IDENTITY_DIR": str(folder),
        "IDENTITY_TOKEN_FILE": str(folder / "token"),
        "IDENTITY_LOCAL_NAME": WEB,
        "TAP_SVC_NAME": "linkerd-tap.linkerd.serviceaccount.identity.linkerd.cluster.local",
        "ADMIN_TOKEN_FILE": str(folder / "admin-token"),
    }
    assert len((folder / "admin-token").read_text()) == 64
    assert await issued.is_proof((folder / "token").read_bytes())


def test_nobody_else_may_read_it(issued: Issued) -> None:
    web = issued.issue()
    tokens = [web.folder / name for name in ("token", "admin-token")]
    assert [mode(path) for path in (issued.folder, web.folder, *tokens)] == [
        0o700,
        0o700,
        0o600,
        0o600,
    ]


def test_a_proxy_with_a_user_of_its_own_owns_it(tmp_path: Path) -> None:
    need_root()
    issued = Issued(tmp_path / "identity", uid=PROXY_UID)
    web = issued.issue()
    tokens = [(web.folder / name, 0o600) for name in ("token", "admin-token")]
    for path, allowed in ((web.folder, 0o700), *tokens):
        assert (path.stat().st_uid, mode(path)) == (PROXY_UID, allowed)
    # It is passed through; nothing can be put into it, or seen in it.
    assert (issued.folder.stat().st_uid, mode(issued.folder)) == (0, 0o711)
    issued.identities.close()
    assert not issued.folder.exists()


async def test_every_pod_has_a_token_of_its_own(issued: Issued) -> None:
    first, second = issued.issue("web-0"), issued.issue("web-1")
    assert first.name == second.name
    tokens = [(each.folder / "token").read_bytes() for each in (first, second)]
    assert len(set(tokens)) == 2
    issued.identities.withdraw("web-0")
    assert [await issued.is_proof(token) for token in tokens] == [False, True]


async def test_what_a_pod_had_is_gone_with_it(issued: Issued) -> None:
    web = issued.issue()
    token = (web.folder / "token").read_bytes()
    (web.folder / "key.p8").write_bytes(b"the proxy's own")
    for _ in range(2):
        issued.identities.withdraw("web-0")
        assert not web.folder.exists()
        assert not await issued.is_proof(token)
    again = issued.issue()
    assert (again.folder / "token").read_bytes() != token


async def test_nothing_is_left_at_the_end(issued: Issued) -> None:
    tokens = [(issued.issue(pod).folder / "token").read_bytes() for pod in ("web-0", "web-1")]
    for _ in range(2):
        issued.identities.close()
        assert not issued.folder.exists()
        assert not any([await issued.is_proof(token) for token in tokens])


def test_what_a_dead_mesh_left_is_gone_before_the_first_pod(tmp_path: Path) -> None:
    old = Issued(tmp_path / "identity").issue()
    Issued(tmp_path / "identity")
    assert not old.folder.exists()


def test_a_pod_that_has_a_token_gets_no_second(issued: Issued) -> None:
    issued.issue()
    with pytest.raises(FileExistsError):
        issued.issue()


async def test_what_is_in_the_way_is_no_place_for_a_token(issued: Issued, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (issued.folder / "web-0").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileExistsError):
        issued.issue()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_pod_that_starts_later_trusts_the_anchors_of_then(issued: Issued) -> None:
    issued.issue("web-0")
    issued.anchors = b"old and new"
    assert issued.issue("web-1").settings["IDENTITY_TRUST_ANCHORS"] == "old and new"
    current = {pod: issued.identities.is_current(pod) for pod in ("web-0", "web-1", "unmeshed-0")}
    assert current == {"web-0": False, "web-1": True, "unmeshed-0": True}
