"""AdmissionReviews: questions of an API server whether it is to take an object, and our answers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from linkerd2_py.controlplane.mesh.routes import EXTENSION, GATEWAY, POLICY
from linkerd2_py.controlplane.mesh.tokens import TOKENS_GROUP
from linkerd2_py.controlplane.policy.admission import (
    authorizations,
    external,
    profiles,
    routes,
    tokens,
)
from linkerd2_py.controlplane.policy.admission.fields import Asked, Field, RefusedError, ShapeError

Json = dict[str, Any]
_INVALID: Final = 422
_UNREADABLE: Final = 400

logger = logging.getLogger(__name__)


def answer(review: Json) -> Json:
    """The review with our answer in it. What is no review at all is refused with what is wrong."""
    try:
        request = Field(review)["request"]
        uid = request["uid"].text()
        if not uid:
            request["uid"].refuse("must be said")
    except RefusedError as error:
        return _review("", reason=str(error), code=_UNREADABLE)
    try:
        _check(request)
    except (RefusedError, RecursionError) as error:
        about = request["kind"]["kind"].value, request["namespace"].value, request["name"].value
        logger.info("refused %s %s/%s: %s", *about, error)
        return _review(uid, reason=str(error) or "nested too deeply", code=_INVALID)
    return _review(uid)


async def validate(review: Json) -> Json:
    """The same for a webhook; nobody is asked."""
    return answer(review)


def _review(uid: str, *, reason: str = "", code: int = 0) -> Json:
    answered: Json = {"uid": uid, "allowed": not reason}
    if reason:
        answered["status"] = {"code": code, "message": reason}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answered}


def _check(request: Field) -> None:
    group = request["kind"]["group"].text().lower()
    kind = request["kind"]["kind"].text().lower()
    check = _CHECKS.get((group, kind))
    if check is None:
        request["kind"].refuse(f"{kind}.{group} is no kind of the mesh")
    try:
        check(_asked(request))
    except ShapeError as error:
        if group != GATEWAY:
            raise
        logger.warning("took a %s that cannot be read: %s", kind, error)


def _asked(request: Field) -> Asked:
    found = Field(request["object"].mapping())
    if not found["spec"].is_said:
        found["spec"].refuse("must be said")
    said = found["metadata"]["annotations"]
    annotations = said.mapping() if said.is_said else {}
    return Asked(found["spec"], request["namespace"].text(), annotations)


_CHECKS: Final[dict[tuple[str, str], Callable[[Asked], None]]] = {
    (POLICY, "server"): authorizations.check_server,
    (POLICY, "serverauthorization"): authorizations.check_server_authorization,
    (POLICY, "authorizationpolicy"): authorizations.check_authorization_policy,
    (POLICY, "meshtlsauthentication"): authorizations.check_meshtls_authentication,
    (POLICY, "networkauthentication"): authorizations.check_network_authentication,
    (TOKENS_GROUP, "jwtauthentication"): tokens.check_jwt_authentication,
    (EXTENSION, "externalauthorization"): external.check_external_authorization,
    (POLICY, "egressnetwork"): authorizations.check_egress_network,
    (POLICY, "httplocalratelimitpolicy"): authorizations.check_rate_limit_policy,
    (POLICY, "httproute"): routes.check_linkerd_http_route,
    (GATEWAY, "httproute"): routes.check_gateway_http_route,
    (GATEWAY, "grpcroute"): routes.check_grpc_route,
    (GATEWAY, "tlsroute"): routes.check_connection_route,
    (GATEWAY, "tcproute"): routes.check_connection_route,
    ("linkerd.io", "serviceprofile"): profiles.check_service_profile,
}
