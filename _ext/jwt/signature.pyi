ALGORITHMS: dict[str, str]
"""What may stand in a token's `alg`, and the kind of key that it needs."""
LEAST_RSA_BITS: int
MOST_RSA_BITS: int

class PublicKey:
    """A key in DER, as SubjectPublicKeyInfo. ValueError for what is no key, or none that is safe to use."""

    @property
    def kind(self) -> str: ...
    def __init__(self, der: bytes) -> None: ...
    def verifies(self, algorithm: str, signed: bytes, signature: bytes) -> bool:
        """Whether that signature of `signed` is this key's, by an algorithm that is for keys of its kind."""
