from collections.abc import Sequence

class CredentialsError(ValueError):
    """They cannot be used; the text is one line that says why and never holds key material."""

class Credentials:
    """A certificate with its key, and whom to trust. Immutable: a renewed certificate makes new ones.

    `key` is PKCS#8 DER, `chain` the certificates in DER, the leaf first and the anchor left out, `anchors` a
    PEM bundle. Checked at once: the key belongs to the leaf, the chain leads to an anchor and is valid now,
    and the one DNS name of the leaf is `name`. `not_after` is Unix seconds: the earliest end of any
    certificate of the verified chain.

    Without a key there is no certificate either: a client that knows whom to trust, and proves nothing.
    """

    def __init__(
        self, *, name: str, key: bytes | None = None, chain: Sequence[bytes] = (), anchors: bytes
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def not_before(self) -> float: ...
    @property
    def not_after(self) -> float: ...
