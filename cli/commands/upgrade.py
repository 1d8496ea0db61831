"""`upgrade`: the objects of this version, with the values and certificates of what is installed."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.find import cluster as where
from linkerd2_py.cli.lifecycle.flags import UPGRADE_FLAGS
from linkerd2_py.cli.lifecycle.making import (
    Said,
    control_plane,
    is_external,
    values_said,
    with_trust,
    with_webhooks,
)
from linkerd2_py.cli.lifecycle.options import takes_values
from linkerd2_py.cli.lifecycle.stored import (
    InCluster,
    InManifest,
    Objects,
    Stored,
    known_only,
    stored,
)
from linkerd2_py.cli.lifecycle.trust import (
    ANCHORS_FLAG,
    CERTIFICATE_FLAG,
    KEY_FLAG,
    Trust,
    TrustFiles,
    check_anchors,
    check_trust,
    new_trust,
    read_text,
)
from linkerd2_py.cli.lifecycle.written import FORMS, write_objects
from linkerd2_py.cli.objects import ask, checked_namespace, opened
from linkerd2_py.cli.options import Globals, output_option
from linkerd2_py.cli.program import shown_program

if TYPE_CHECKING:
    from linkerd2_py.cli.lifecycle.flags import Values
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer


@takes_values(UPGRADE_FLAGS)
def upgrade(
    crds: Annotated[
        bool, typer.Option("--crds", help="The kinds of objects of a mesh, and nothing else.")
    ] = False,
    from_manifests: Annotated[
        str | None,
        typer.Option(
            "--from-manifests",
            metavar="FILE",
            help="What `install` printed, instead of a cluster: a file, an https URL, or - .",
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also where proxies do not trust what the issuer signs."),
    ] = False,
    form: Annotated[str, output_option(*FORMS)] = "yaml",
    *,
    wanted: Said,
    files: TrustFiles,
    given: Globals,
) -> None:
    """Print the objects of this version for the control plane that is there: its values and certificates are
    kept, what is said here is laid over them. `upgrade --crds | kubectl apply -f -` comes first, `prune |
    kubectl delete -f -` last.
    """
    output.one_of(form, allowed=FORMS)
    namespace = checked_namespace(where.where(given))
    if crds:
        from linkerd2_py.charts.render import render_crds

        write_objects(render_crds(), form=form)
    elif from_manifests is not None:
        there = _of_manifest(from_manifests, namespace=namespace)
        made = asyncio.run(upgraded(wanted, files, there=there, namespace=namespace))
        write_objects(made, form=form)
    else:
        with opened(given) as cluster:
            made = ask(
                cluster, _in_cluster(cluster.api, wanted, files, namespace=namespace, force=force)
            )
        write_objects(made, form=form)


async def _in_cluster(
    api: ApiServer, wanted: Said, files: TrustFiles, *, namespace: str, force: bool
) -> list[dict[str, Any]]:
    from linkerd2_py.cli.lifecycle.cluster import check_kinds, check_rights
    from linkerd2_py.cli.lifecycle.proxies import check_proxies

    await check_kinds(api, command="upgrade")
    there = InCluster(api, namespace)
    made = await upgraded(wanted, files, there=there, namespace=namespace)
    if files.any and not force:
        await check_proxies(api, made, namespace=namespace)
    await check_rights(api, made)
    return made


async def upgraded(
    wanted: Said, files: TrustFiles, *, there: Objects, namespace: str
) -> list[dict[str, Any]]:
    """The objects. CliError."""
    found = await stored(there)
    chosen = values_said(wanted, stored=kept_values(found, namespace=namespace))
    values = copy.deepcopy(chosen)
    with_trust(values, _trust(values, files, found, namespace=namespace))
    await with_webhooks(values, namespace=namespace, there=there)
    return control_plane(values, chosen, namespace=namespace)


def kept_values(found: Stored, *, namespace: str) -> Values:
    """What was chosen for the installation, as far as this version knows it. CliError where there is none."""
    from linkerd2_py.charts.values import schema

    if found.overrides is None:
        raise CliError(
            f"Could not find the linkerd-config-overrides secret in the namespace {namespace!r}: there is no"
            f" control plane to upgrade; `{shown_program()} install` makes one (-L says where it is)"
        )
    kept, gone = known_only(found.overrides, schema())
    if gone:
        output.note(f"Values that this version does not have are left out: {', '.join(gone)}")
    return kept


def _of_manifest(name: str, *, namespace: str) -> InManifest:
    import yaml

    from linkerd2_py.cli.manifests.read import read_manifests

    objects: list[dict[str, Any]] = []
    for manifest in read_manifests(name):
        try:
            documents: Sequence[Any] = list(yaml.safe_load_all(manifest.text))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise CliError(f"--from-manifests: {manifest.name}: it is not YAML") from error
        objects += [
            one
            for one in documents
            if isinstance(one, dict) and isinstance(one.get("metadata"), dict)
        ]
    return InManifest(objects, namespace=namespace)


def _trust(values: Values, files: TrustFiles, found: Stored, *, namespace: str) -> Trust:
    """What is in force, with what was given in its place. CliError."""
    if files.any and found.rotating:
        raise CliError(
            f"the trust anchor is being rotated: `{shown_program()} identity rotate-anchors --status`"
            " says how far that is; certificates are exchanged by it alone until it is over"
        )
    if is_external(values) and (files.certificate or files.key):
        raise CliError(
            "cannot update issuer certificates if you are using external cert management solution"
        )
    kept = found.issuer or _made(values, found, namespace=namespace)
    trust = Trust(
        _file(files.anchors, ANCHORS_FLAG) or kept.anchors,
        _file(files.certificate, CERTIFICATE_FLAG) or kept.certificate,
        _file(files.key, KEY_FLAG) or kept.key,
    )
    if is_external(values):
        check_anchors(trust)
    else:
        check_trust(trust)
    if files.anchors is not None and trust.anchors.strip() != found.anchors.strip():
        output.note(
            "Rotating the trust anchors will affect existing proxies:"
            f" `{shown_program()} identity rotate-anchors` does it without a failed request"
        )
    return trust


def _made(values: Values, found: Stored, *, namespace: str) -> Trust:
    """Where an install stopped before it had come to the issuer: nobody can have a certificate yet."""
    from linkerd2_py.cli.lifecycle.making import trust_domain

    if is_external(values):
        return Trust(found.anchors)
    output.note("There is no issuer yet: an anchor and an issuer are made.")
    return new_trust(trust_domain(values), namespace=namespace)


def _file(path: Path | None, flag: str) -> str:
    return "" if path is None else read_text(path, flag=flag)
