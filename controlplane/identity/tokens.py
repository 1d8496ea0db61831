"""Who a workload is: what a token proves, and the tokens of a mesh on one machine."""

import hashlib
import hmac
import secrets
from typing import Final, Protocol

from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError

_TOKEN_BYTES: Final = 32


class TokenValidator(Protocol):
    """Decides whether a token proves an identity."""

    async def check(self, token: bytes, *, identity: str) -> None:
        """`RefusedError` unless the holder of `token` is `identity`: `TOKEN`, `NOT_AUTHENTICATED`,
        `OTHER_IDENTITY`, or `UNREVIEWED` where that cannot be said now.
        """


class WorkloadTokens:
    """Random tokens, one a workload, held in memory only: who starts the workloads hands them out.

    They are found by a digest with a key of this process, so that the time a look-up takes says nothing about
    any token.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(_TOKEN_BYTES)
        self._identities: dict[bytes, str] = {}

    def issue(self, identity: str) -> bytes:
        """A new token, printable; it proves `identity` until it is withdrawn."""
        token = secrets.token_urlsafe(_TOKEN_BYTES).encode()
        self._identities[self._digest(token)] = identity
        return token

    def withdraw(self, token: bytes) -> None:
        """Make a token prove nothing. May be repeated."""
        self._identities.pop(self._digest(token), None)

    async def check(self, token: bytes, *, identity: str) -> None:
        """See `TokenValidator`. A final newline is not part of a token: it may have come from a file."""
        if not token.strip():
            raise RefusedError(Reason.TOKEN, "the request has no token")
        owner = self._identities.get(self._digest(token.removesuffix(b"\n")))
        if owner is None:
            raise RefusedError(
                Reason.NOT_AUTHENTICATED,
                "the token is not known here: it was withdrawn, or is of another mesh",
            )
        if owner != identity:
            raise RefusedError(
                Reason.OTHER_IDENTITY, f"the token proves {owner!r}, not the requested identity"
            )

    def _digest(self, token: bytes) -> bytes:
        return hmac.digest(self._key, token, hashlib.sha256)
