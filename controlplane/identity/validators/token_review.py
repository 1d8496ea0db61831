"""Tokens of Kubernetes service accounts: the API server says whose they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from linkerd2_py.controlplane.identity.names import TrustDomain
from linkerd2_py.controlplane.identity.refusals import Reason, RefusedError
from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi

AUDIENCE: Final = "identity.l5d.io"
"""Whom the tokens that a mesh's pods are given are meant for."""
_REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
_ACCESS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
# A token of the API server has some 1,000 characters.
_MOST_BYTES: Final = 16 * 1024


class ReviewedTokens:
    """Asks `api` for every token: one whose pod or account is gone proves nothing from that moment on."""

    def __init__(self, api: KubernetesApi, *, trust_domain: TrustDomain) -> None:
        self._api = api
        self._trust_domain = trust_domain

    async def check(self, token: bytes, *, identity: str) -> None:
        """See `TokenValidator`. `UNREVIEWED` where the API server does not say."""
        text = token.strip()
        if not text:
            raise RefusedError(Reason.TOKEN, "the request has no token")
        if len(text) > _MOST_BYTES or not text.isascii():
            raise RefusedError(
                Reason.TOKEN, "what the request has is no token of a service account"
            )
        found = self._identity(await self._user(text.decode()))
        if found != identity:
            words = f"the token proves {found!r}, not the requested identity"
            raise RefusedError(Reason.OTHER_IDENTITY, words)

    async def problem(self) -> str:
        """Why nobody's token can be reviewed; empty when it can."""
        may = {"group": "authentication.k8s.io", "resource": "tokenreviews", "verb": "create"}
        asked = {"spec": {"resourceAttributes": may}}
        try:
            said = _mapping((await self._api.create(_ACCESS, asked)).get("status"))
        except ApiError as error:
            return f"tokenreviews.authentication.k8s.io: {error}"
        if said.get("allowed") is True:
            return ""
        return "tokenreviews.authentication.k8s.io: this account may not create them"

    async def _user(self, token: str) -> str:
        """Whose it is, as the API server names its users."""
        said = await self._review(token, audiences=[AUDIENCE])
        if "audience" in str(said.get("error", "")):
            # Pods that were injected long ago mount a token that is meant for the API server.
            said = await self._review(token, audiences=[])
        if error := said.get("error"):
            raise RefusedError(Reason.TOKEN, f"the token was refused: {str(error)[:200]}")
        if said.get("authenticated") is not True:
            raise RefusedError(Reason.NOT_AUTHENTICATED, "the token could not be authenticated")
        return str(_mapping(said.get("user")).get("username", ""))

    async def _review(self, token: str, *, audiences: Sequence[str]) -> Mapping[str, Any]:
        asked: Json = {"spec": {"token": token, "audiences": list(audiences)}}
        try:
            return _mapping((await self._api.create(_REVIEWS, asked)).get("status"))
        except ApiError as error:
            raise RefusedError(
                Reason.UNREVIEWED, f"the token cannot be reviewed: {error}"
            ) from error

    def _identity(self, user: str) -> str:
        match user.split(":"):
            case ["system", "serviceaccount", namespace, account]:
                try:
                    return self._trust_domain.identity(account, namespace=namespace)
                except ValueError as error:
                    raise RefusedError(
                        Reason.TOKEN, f"the token is of {user!r}: {error}"
                    ) from error
        raise RefusedError(
            Reason.TOKEN, f"the token is of {user[:200]!r}, which is no service account"
        )


def _mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, dict) else {}
