"""Who the programs of a cluster are to each other: keys, certificates and kubeconfigs in one folder."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Final

import trustme
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

# The first address of the range that services get theirs from: what pods call the API server.
SERVICE_RANGE: Final = "10.96.0.0/16"
API_SERVICE_IP: Final = "10.96.0.1"
# Where there are pods with addresses of both families.
SERVICE_RANGE_6: Final = "fd00:10:96::/112"
_API_NAMES: Final = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "127.0.0.1",
    API_SERVICE_IP,
)


class Keys:
    """Made once, written below `folder`, for an API server at `address`."""

    def __init__(self, folder: Path, *, address: str) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        # One key size that everybody takes.
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self._front_ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self._write("ca.crt", self._ca.cert_pem.bytes())
        self._write("ca.key", self._ca.private_key_pem.bytes())
        self._write("front-ca.crt", self._front_ca.cert_pem.bytes())
        self.serving("apiserver", *{*_API_NAMES, address})
        self._pair("front", _client(self._front_ca, "front-proxy-client", group="aggregators"))
        self._service_accounts()

    def path(self, name: str) -> Path:
        """Where a file of this name is."""
        return self.folder / name

    def serving(self, name: str, *names: str) -> None:
        """NAME.crt and NAME.key of a server that is called by these names and addresses."""
        self._pair(name, self._ca.issue_cert(*names))

    def client(self, name: str, *, user: str, group: str) -> None:
        """NAME.crt and NAME.key of who asks as `user`, a member of `group`."""
        self._pair(name, _client(self._ca, user, group=group))

    def kubeconfig(self, user: str, *, group: str, server: str) -> Path:
        """A kubeconfig for who asks as `user`, a member of `group`."""
        pair = _client(self._ca, user, group=group)
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": server,
                        "certificate-authority-data": _base64(self._ca.cert_pem.bytes()),
                    },
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {
                        "client-certificate-data": _base64(_chain(pair)),
                        "client-key-data": _base64(pair.private_key_pem.bytes()),
                    },
                }
            ],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        }
        return self._write(f"{user.rpartition(':')[2]}.kubeconfig", yaml.safe_dump(config).encode())

    def _service_accounts(self) -> None:
        # Tokens of service accounts are signed with RSA by default.
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        self._write("service-accounts.key", pem)

    def _pair(self, name: str, pair: trustme.LeafCert) -> None:
        self._write(f"{name}.crt", _chain(pair))
        self._write(f"{name}.key", pair.private_key_pem.bytes())

    def _write(self, name: str, content: bytes) -> Path:
        path = self.path(name)
        path.touch(mode=0o600)
        path.write_bytes(content)
        return path


def _client(ca: trustme.CA, user: str, *, group: str) -> trustme.LeafCert:
    # Go refuses certificates whose list of names is there and empty.
    return ca.issue_cert("localhost", common_name=user, organization_name=group)


def _chain(pair: trustme.LeafCert) -> bytes:
    return b"".join(blob.bytes() for blob in pair.cert_chain_pems)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
