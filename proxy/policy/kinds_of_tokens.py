"""What a policy asks of a token, as values."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

AUTHORIZATION: Final = "authorization"
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Those that the engine verifies. None without a public key is among them."""
LEEWAY_S: Final = 60.0
REFRESH_S: Final = 300.0


class KeySource(NamedTuple):
    """Where the keys of an issuer are: a JSON Web Key Set itself, a file, or a URL; looked at so often."""

    kind: Literal["jwks", "file", "url"]
    said: str
    refresh_s: float = REFRESH_S

    def __str__(self) -> str:
        return "the policy itself" if self.kind == "jwks" else self.said


class TokenKind(NamedTuple):
    """A token of this issuer, for one of these audiences (none: whomever), that stands in a field of the
    request, signed by one of these algorithms (none: any that is safe).

    `claims`: what it says besides, each with the values of which it must be one. `told`: what the workload
    is told of it, (claim, name of a field) each.
    """

    name: str
    issuer: str
    keys: KeySource
    audiences: tuple[str, ...] = ()
    field: str = AUTHORIZATION
    forwards: bool = False
    algorithms: tuple[str, ...] = ()
    leeway_s: float = LEEWAY_S
    claims: tuple[tuple[str, tuple[str, ...]], ...] = ()
    told: tuple[tuple[str, str], ...] = ()
