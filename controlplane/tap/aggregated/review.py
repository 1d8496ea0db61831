"""Whether a user may watch, as the cluster's own rules say."""

from __future__ import annotations

import logging
from typing import Final

from linkerd2_py.controlplane.kubernetes_api import ApiError, Json, KubernetesApi
from linkerd2_py.controlplane.public_api.kinds import Kind
from linkerd2_py.controlplane.tap.aggregated.paths import GROUP, VERSION, plural
from linkerd2_py.controlplane.tap.refusals import NotAllowedError, NotReadyError
from linkerd2_py.controlplane.tap.request import TapRequest
from linkerd2_py.controlplane.tap.tap import User

PATH: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"

logger = logging.getLogger(__name__)


class Reviews:
    """Asks the API server each time: rules may have changed."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    async def authorize(self, request: TapRequest, user: User) -> None:
        """NotAllowedError unless it may `watch` the subresource `tap`."""
        try:
            found = await self._api.create(PATH, review_of(request, user))
        except ApiError as error:
            raise NotReadyError(f"the API server does not say who may watch: {error}") from error
        status = found.get("status")
        if isinstance(status, dict) and status.get("allowed") is True:
            return
        what = f"{plural(request.kind)}/tap"
        where = f" in namespace {request.namespace}" if request.namespace else ""
        logger.info("%s may not watch %s%s", user.name, what, where)
        raise NotAllowedError(
            f"tap authorization failed: {user.name} cannot watch {what}.{GROUP}{where};"
            " bind the ClusterRole that its install has made (linkerd-…-tap-admin), or one for less"
        )


def review_of(request: TapRequest, user: User) -> Json:
    """The question. A namespace is watched as a whole: its name says in which."""
    of_namespace = request.kind is Kind.NAMESPACE
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": user.name,
            "groups": list(user.groups),
            "extra": {name: list(values) for name, values in user.extra.items()},
            "resourceAttributes": {
                "verb": "watch",
                "group": GROUP,
                "version": VERSION,
                "resource": plural(request.kind),
                "subresource": "tap",
                "namespace": request.name if of_namespace else request.namespace,
                "name": "" if of_namespace else request.name,
            },
        },
    }
