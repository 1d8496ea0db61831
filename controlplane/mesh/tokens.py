"""JWTAuthentications, which AuthorizationPolicies require: tokens that clients show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from linkerd2_py.controlplane.mesh.objects import Key, MeshObject

TOKENS_GROUP: Final = "policy.linkerd2-py.io"
"""The API group of what Linkerd has no kind for."""
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
"""Those that proxies verify."""


class Claim(NamedTuple):
    """What a token must say: one of `values`, or a list with one of them."""

    name: str
    values: tuple[str, ...]


class ClaimHeader(NamedTuple):
    """The header by which the workload is told a claim."""

    claim: str
    header: str


class KeySource(NamedTuple):
    """Where an issuer's keys are: `said` is a JSON Web Key Set, the path of a file, or a URL."""

    kind: Literal["jwks", "file", "url"]
    said: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Of an issuer, for one of `audiences` (none: for whomever). An empty `header` is authorization, with
    Bearer. Times are None where nobody says them; no `algorithms` are all.
    """

    issuer: str
    keys: KeySource
    audiences: tuple[str, ...] = ()
    header: str = ""
    forward: bool = False
    algorithms: tuple[str, ...] = ()
    refresh_s: float | None = None
    leeway_s: float | None = None
    claims: tuple[Claim, ...] = ()
    headers: tuple[ClaimHeader, ...] = ()


@dataclass(frozen=True, slots=True)
class JWTAuthentication(MeshObject):
    """Requests with one of `tokens` pass; none where that cannot be understood."""

    namespace: str
    name: str
    tokens: Tokens | None

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)
