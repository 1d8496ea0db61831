"""`uninstall`: everything that a control plane has brought, for `kubectl delete -f -`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from linkerd2_py.base.logs import printable
from linkerd2_py.cli import output
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find import cluster as where
from linkerd2_py.cli.lifecycle.leftovers import (
    Left,
    kinds_of_mesh,
    labelled,
    slices_of_external_workloads,
)
from linkerd2_py.cli.lifecycle.written import FORMS, bare, write_objects
from linkerd2_py.cli.objects import OF_MESH, ask, checked_namespace, listed, opened
from linkerd2_py.cli.options import Globals, output_option

if TYPE_CHECKING:
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

_EXTENSION = "linkerd.io/extension"
_MOST_NAMED = 10


def uninstall(
    force: Annotated[
        bool,
        typer.Option(
            "--force", "-f", help="Also while pods have a proxy, or extensions are there."
        ),
    ] = False,
    form: Annotated[str, output_option(*FORMS)] = "yaml",
    *,
    given: Globals,
) -> None:
    """Print everything that a control plane has brought, for `kubectl delete -f -`: with its kinds, and so
    with all objects of these kinds, whoever made them.
    """
    output.one_of(form, allowed=FORMS)
    namespace = checked_namespace(where.where(given))
    with opened(given) as cluster:
        if not force:
            ask(cluster, _check(cluster.api, namespace))
        found = ask(cluster, _all(cluster.api, namespace))
    if not found:
        raise CliError(
            f"No resources found to uninstall: nothing is labelled {OF_MESH}={namespace},"
            " and no kinds are there"
        )
    write_objects(
        [
            bare(left.found, kind=left.kind.name, api_version=left.kind.api_version)
            for left in found
        ],
        form=form,
    )


async def _all(api: ApiServer, namespace: str) -> list[Left]:
    """Without what goes with the namespace."""
    found = await labelled(api, namespace=namespace)
    whole = any(left.kind.name == "Namespace" and left.name == namespace for left in found)
    there = {
        left.key: left
        for left in [
            *found,
            *(await kinds_of_mesh(api)),
            *(await slices_of_external_workloads(api)),
        ]
        if not (whole and left.namespace == namespace)
    }
    return sorted(there.values(), key=lambda left: left.turn)


async def _check(api: ApiServer, namespace: str) -> None:
    """CliError where somebody still needs it."""
    extensions = {
        str(one["metadata"]["name"]): str(one["metadata"]["labels"][_EXTENSION])
        async for one in listed(api, "/api/v1/namespaces", {"labelSelector": _EXTENSION})
    }
    injected = [
        f"{one['metadata']['namespace']}/{one['metadata']['name']}"
        async for one in listed(api, "/api/v1/pods", {"labelSelector": f"{OF_MESH}={namespace}"})
        if one["metadata"]["namespace"] not in {namespace, *extensions}
    ]
    said = []
    if extensions:
        names = ", ".join(sorted(extensions.values()))
        said.append(
            f"Please uninstall the following extensions before uninstalling the control-plane: {names}"
        )
    if injected:
        names = ", ".join(sorted(injected)[:_MOST_NAMED])
        more = f" and {len(injected) - _MOST_NAMED} more" if len(injected) > _MOST_NAMED else ""
        said.append(
            f"Please uninject the following pods before uninstalling the control-plane: {names}{more}"
        )
    if said:
        raise CliError(printable(f"{'; '.join(said)} (--force goes on nevertheless)"))
