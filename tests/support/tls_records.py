"""TLS 1.3 records of a test's own making: what no library would send, under the keys that the peer expects.

Python's `ssl` shakes hands and writes the secrets down; from there on the records are made here (RFC 8446,
5.2 and 7.3).
"""

import ssl
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, HashAlgorithm
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

ALERT: Final = 21
HANDSHAKE: Final = 22
DATA: Final = 23

KEY_UPDATE: Final = b"\x18\x00\x00\x01\x00"
KEY_UPDATE_BOTH: Final = b"\x18\x00\x00\x01\x01"
CLOSE_NOTIFY: Final = b"\x01\x00"

_SUITES: Final[dict[str, tuple[type, HashAlgorithm, int]]] = {
    "TLS_AES_128_GCM_SHA256": (AESGCM, SHA256(), 16),
    "TLS_AES_256_GCM_SHA384": (AESGCM, SHA384(), 32),
    "TLS_CHACHA20_POLY1305_SHA256": (ChaCha20Poly1305, SHA256(), 32),
}


def expand(secret: bytes, label: bytes, size: int, hashing: HashAlgorithm) -> bytes:
    """HKDF-Expand-Label without a context."""
    name = b"tls13 " + label
    info = size.to_bytes(2) + bytes([len(name)]) + name + b"\0"
    return HKDFExpand(algorithm=hashing, length=size, info=info).derive(secret)


class Forger:
    """One direction of a connection. `said`: how many records its library has sent under these
    keys already.
    """

    def __init__(self, tls: ssl.SSLObject, secrets: Path, *, said: int = 0) -> None:
        suite = tls.cipher()
        assert suite is not None
        self._cipher, self._hashing, self._key_bytes = _SUITES[suite[0]]
        side = "SERVER" if tls.server_side else "CLIENT"
        # The last line: earlier ones are of earlier connections.
        lines = [line.split() for line in secrets.read_text().splitlines()]
        found = [words[2] for words in lines if words[0] == f"{side}_TRAFFIC_SECRET_0"]
        self._number = 0
        self._use(bytes.fromhex(found[-1]))
        self._number = said

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._aead = self._cipher(expand(secret, b"key", self._key_bytes, self._hashing))
        self._iv = int.from_bytes(expand(secret, b"iv", 12, self._hashing))
        self._number = 0

    def record(self, content: bytes, kind: int = DATA, *, padding: int = 0) -> bytes:
        inner = content + bytes([kind]) + bytes(padding)
        head = b"\x17\x03\x03" + (len(inner) + 16).to_bytes(2)
        nonce = (self._iv ^ self._number).to_bytes(12)
        self._number += 1
        return head + bytes(self._aead.encrypt(nonce, inner, head))

    def new_keys(self) -> None:
        """What follows a key update."""
        size = self._hashing.digest_size
        self._use(expand(self._secret, b"traffic upd", size, self._hashing))
