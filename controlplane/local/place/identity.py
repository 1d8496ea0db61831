"""What a proxy needs to prove who it is: a token, which it trades for certificates, in a folder of its own.

The proxy makes its key itself and keeps it beside the token. Beside that lies the one that changes
through its admin server need. Nobody but its user reads them; all are gone when the pod is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Final, NamedTuple

from linkerd2_py.base.tap import SERVICE_ACCOUNT
from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.local.state import owned

TOKEN_FILE: Final = "token"  # noqa: S105  # a name
ADMIN_TOKEN_FILE: Final = "admin-token"  # noqa: S105  # a name
_ADMIN_TOKEN_BYTES: Final = 32
# Whoever knows a pod's name may pass to its folder, which is closed to all but the proxy.
_PASSAGE: Final = 0o711


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """`name` stands in the certificate, `folder` is the proxy's; `settings` say all that to the proxy,
    without the prefix.
    """

    name: str
    folder: Path
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Issuance:
    """The identity service as proxies meet it: its address, what it takes for proof, and the anchors they
    are to trust (PEM).
    """

    address: str
    tokens: WorkloadTokens
    anchors: Callable[[], bytes]
    trust_domain: TrustDomain = field(default_factory=TrustDomain)


class _Issued(NamedTuple):
    token: bytes
    anchors: bytes


class PodIdentities:
    """Hands them out, from `open` to `close`. `uid` is the user that proxies run as; None: whoever
    this is.
    """

    def __init__(self, folder: Path, *, issuance: Issuance, uid: int | None = None) -> None:
        self._folder = folder
        self._issuance = issuance
        self._uid = uid
        self._issued: dict[str, _Issued] = {}

    def open(self) -> None:
        """Begin with an empty folder, whatever a mesh that died has left there. StateError if it is not
        ours, OSError.
        """
        owned.remove(self._folder)
        owned.make(self._folder, mode=owned.OWNER_ONLY if self._uid is None else _PASSAGE)

    def issue(self, pod: str, *, service_account: str, namespace: str) -> PodIdentity:
        """For a pod that has none. OSError if it cannot be stored."""
        name = self._issuance.trust_domain.identity(service_account, namespace=namespace)
        folder = self._folder / pod
        folder.mkdir(mode=owned.OWNER_ONLY)
        issued = _Issued(self._issuance.tokens.issue(name), self._issuance.anchors())
        self._issued[pod] = issued
        self._write(folder / TOKEN_FILE, content=issued.token)
        self._write(folder / ADMIN_TOKEN_FILE, content=token_hex(_ADMIN_TOKEN_BYTES).encode())
        # Last: in a folder of another user's, that user could have put anything in the token's place.
        self._give(folder)
        settings = self._settings(name, folder=folder, anchors=issued.anchors)
        return PodIdentity(name, folder, settings)

    def is_current(self, pod: str) -> bool:
        """Whether the pod's proxy trusts the anchors in force; a pod without an identity trusts nobody
        anyway.
        """
        issued = self._issued.get(pod)
        return issued is None or issued.anchors == self._issuance.anchors()

    def withdraw(self, pod: str) -> None:
        """What the pod has proves nothing any more, and is removed. May be repeated."""
        issued = self._issued.pop(pod, None)
        if issued is not None:
            self._issuance.tokens.withdraw(issued.token)
        shutil.rmtree(self._folder / pod, ignore_errors=True)

    def close(self) -> None:
        """Withdraw all. May be repeated."""
        for pod in tuple(self._issued):
            self.withdraw(pod)
        owned.remove(self._folder)

    def _settings(self, name: str, *, folder: Path, anchors: bytes) -> Mapping[str, str]:
        domain = self._issuance.trust_domain
        return {
            "IDENTITY_SVC_ADDR": self._issuance.address,
            "IDENTITY_SVC_NAME": domain.control_plane,
            "IDENTITY_TRUST_ANCHORS": anchors.decode("ascii"),
            "IDENTITY_DIR": str(folder),
            "IDENTITY_TOKEN_FILE": str(folder / TOKEN_FILE),
            "IDENTITY_LOCAL_NAME": name,
            "TAP_SVC_NAME": domain.identity(SERVICE_ACCOUNT, namespace=domain.control_namespace),
            "ADMIN_TOKEN_FILE": str(folder / ADMIN_TOKEN_FILE),
        }

    def _write(self, path: Path, *, content: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        self._give(path)

    def _give(self, path: Path) -> None:
        if self._uid is not None:
            os.chown(path, self._uid, -1)
