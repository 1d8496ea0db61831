"""One function for every command: the public API it asks."""

from __future__ import annotations

from typing import Final

from linkerd2_py.cli.find import cluster, flag, local
from linkerd2_py.cli.find.control_plane import ControlPlane
from linkerd2_py.cli.options import Globals

NOT_FOUND: Final = (
    "no linkerd2-py control plane found: run `linkerd2-py local up`, "
    "or give --api-addr or --kubeconfig"
)


def find(given: Globals) -> ControlPlane | None:
    """The control plane that is meant; None if there is none. CliError if it cannot be told."""
    return _nearer(given) or cluster.control_plane(given)


def asks_a_cluster(given: Globals) -> bool:
    """Whether it is a kubeconfig that is believed. CliError if it cannot be told."""
    return _nearer(given) is None and cluster.is_spoken_of(given)


def _nearer(given: Globals) -> ControlPlane | None:
    """Whatever goes before a kubeconfig that is only there."""
    if given.says_a_cluster and not given.api_addr:
        return None
    return flag.given(given.api_addr) or flag.of_environment() or local.control_plane()
