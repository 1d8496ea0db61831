"""The control plane in a cluster, by the kubeconfig that kubectl would use, or by the account of the pod that
this runs in.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find.control_plane import ControlPlane
from linkerd2_py.cli.options import Globals

SERVICE: Final = "linkerd-public-api"
PORT: Final = 8085
NAMESPACE: Final = "linkerd"
_OWN: Final = "~/.kube/config"
# What programs in pods have in their environment.
_POD: Final = "KUBERNETES_SERVICE_HOST"


def control_plane(given: Globals) -> ControlPlane | None:
    """None where nothing speaks of a cluster. CliError if what does cannot be used."""
    path = kubeconfig(given)
    if path is None and not in_pod():
        if given.says_a_cluster:
            raise CliError(
                f"there is no kubeconfig: neither --kubeconfig nor $KUBECONFIG nor {_OWN}"
            )
        return None
    from linkerd2_py.cli.cluster import Cluster

    found = Cluster(path, given)
    service = f"/api/v1/namespaces/{where(given)}/services/{SERVICE}:{PORT}/proxy"
    return ControlPlane(
        f"{found.address}{service}",
        namespace=found.namespace,
        found_by=str(path or "this pod's account"),
        cluster=found,
    )


def is_spoken_of(given: Globals) -> bool:
    """Whether there is anything to be believed, or to be complained of."""
    said = given.says_a_cluster or os.environ.get("KUBECONFIG") or in_pod()
    return bool(said) or _exists(_OWN)


def in_pod() -> bool:
    """Whether this is a pod, which has an account of its cluster."""
    return _POD in os.environ


def where(given: Globals) -> str:
    """The namespace of the cluster's control plane."""
    return given.linkerd_namespace or os.environ.get("LINKERD_NAMESPACE") or NAMESPACE


def kubeconfig(given: Globals) -> Path | None:
    """What says how a cluster is reached: `$KUBECONFIG` may be several files. None where there is none.

    CliError for one that was named and is not there.
    """
    for text, by in (
        (given.kubeconfig, "--kubeconfig"),
        (os.environ.get("KUBECONFIG"), "$KUBECONFIG"),
    ):
        if text:
            if not any(_exists(one) for one in text.split(os.pathsep) if one):
                raise CliError(f"{by}: there is no file {text}")
            return Path(text)
    return Path(_OWN) if _exists(_OWN) else None


def _exists(text: str) -> bool:
    # A user without a home has no file there.
    return Path(os.path.expanduser(text)).exists()  # noqa: PTH111
