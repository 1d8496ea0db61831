"""`prune`: what an older version has left behind, for `kubectl delete -f -`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from linkerd2_py.cli import output
from linkerd2_py.cli.commands.upgrade import upgraded
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find import cluster as where
from linkerd2_py.cli.lifecycle.leftovers import Left, labelled
from linkerd2_py.cli.lifecycle.making import Said
from linkerd2_py.cli.lifecycle.stored import ROTATION, InCluster, stored
from linkerd2_py.cli.lifecycle.trust import TrustFiles
from linkerd2_py.cli.lifecycle.written import FORMS, bare, write_objects
from linkerd2_py.cli.objects import ask, checked_namespace, opened
from linkerd2_py.cli.options import Globals, output_option

if TYPE_CHECKING:
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

_KEPT: Final = frozenset({"linkerd-identity-issuer", "linkerd-identity-trust-roots", ROTATION})
"""What may be somebody else's, or is there for a while only."""
_OF_USERS: Final = frozenset({"linkerd.io", "policy.linkerd.io", "workload.linkerd.io"})


def prune(form: Annotated[str, output_option(*FORMS)] = "yaml", *, given: Globals) -> None:
    """Print what the control plane that is there does not consist of any more, for `kubectl delete -f -`:
    after an `upgrade` was applied.
    """
    output.one_of(form, allowed=FORMS)
    namespace = checked_namespace(where.where(given))
    with opened(given) as cluster:
        found = ask(cluster, _extraneous(cluster.api, namespace))
    write_objects(
        [
            bare(left.found, kind=left.kind.name, api_version=left.kind.api_version)
            for left in found
        ],
        form=form,
    )


async def _extraneous(api: ApiServer, namespace: str) -> list[Left]:
    from linkerd2_py.charts.render import render_crds

    there = InCluster(api, namespace)
    if not (await stored(there)).whole:
        raise CliError(
            f"there is no whole control plane in the namespace {namespace!r}:"
            " run install, or upgrade, to its end"
        )
    made = await upgraded(Said({}), TrustFiles(), there=there, namespace=namespace)
    wanted = {
        (
            str(one["apiVersion"]).rpartition("/")[0],
            str(one["kind"]),
            str(one["metadata"].get("namespace") or ""),
            str(one["metadata"]["name"]),
        )
        for one in [*made, *render_crds()]
    }
    return [
        left
        for left in await labelled(api, namespace=namespace)
        if left.key not in wanted and left.name not in _KEPT and left.kind.group not in _OF_USERS
    ]
