"""`install`: the objects of a control plane, for `kubectl apply -f -`."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from linkerd2_py.charts.paths import look_up, put
from linkerd2_py.cli import output
from linkerd2_py.cli.errors import CliError, bad_usage
from linkerd2_py.cli.find import cluster as where
from linkerd2_py.cli.lifecycle.flags import FLAGS
from linkerd2_py.cli.lifecycle.making import (
    Said,
    control_plane,
    is_external,
    trust_domain,
    trust_of_values,
    values_said,
    with_trust,
    with_webhooks,
)
from linkerd2_py.cli.lifecycle.options import takes_values
from linkerd2_py.cli.lifecycle.stored import InCluster, InManifest, Objects, Stored, stored
from linkerd2_py.cli.lifecycle.trust import (
    ANCHORS_FLAG,
    Trust,
    TrustFiles,
    check_anchors,
    check_trust,
    new_trust,
    read_text,
    trust_of_files,
)
from linkerd2_py.cli.lifecycle.written import FORMS, write_objects
from linkerd2_py.cli.objects import ask, checked_namespace, opened
from linkerd2_py.cli.options import Globals, output_option
from linkerd2_py.cli.program import shown_program

if TYPE_CHECKING:
    from linkerd2_py.cli.cluster import Cluster
    from linkerd2_py.cli.lifecycle.flags import Values
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

_UNREACHABLE = (
    "Unable to install the Linkerd control plane. Cannot connect to the Kubernetes cluster"
)
_API_PORTS = "proxyInit.kubeAPIServerPorts"
_IGNORE = (
    "You can use the --ignore-cluster flag if you just want to generate the installation config."
)


@takes_values(FLAGS)
def install(
    crds: Annotated[
        bool, typer.Option("--crds", help="The kinds of objects of a mesh, and nothing else.")
    ] = False,
    ignore_cluster: Annotated[
        bool, typer.Option("--ignore-cluster", help="Ask no cluster anything.")
    ] = False,
    skip_checks: Annotated[
        bool,
        typer.Option("--skip-checks", help="Do not ask whether kinds are known, and rights given."),
    ] = False,
    form: Annotated[str, output_option(*FORMS)] = "yaml",
    *,
    wanted: Said,
    files: TrustFiles,
    given: Globals,
) -> None:
    """Print the objects of a control plane: first `install --crds | kubectl apply -f -`, then `install |
    kubectl apply -f -`. Trust anchor and issuer are made unless they are given.
    """
    output.one_of(form, allowed=FORMS)
    namespace = checked_namespace(where.where(given))
    if crds:
        _install_crds(given, namespace=namespace, form=form, ignore_cluster=ignore_cluster)
        return
    chosen = values_said(wanted)
    if ignore_cluster:
        nothing = InManifest((), namespace=namespace)
        made = asyncio.run(installed(chosen, files, there=nothing, namespace=namespace))
    else:
        with _reached(given) as cluster:
            asked = _for_cluster(
                cluster.api, chosen, files, namespace=namespace, check=not skip_checks
            )
            made = ask(cluster, asked)
    write_objects(made, form=form)


def _install_crds(given: Globals, *, namespace: str, form: str, ignore_cluster: bool) -> None:
    from linkerd2_py.charts.render import render_crds

    if not ignore_cluster:
        with _reached(given) as cluster:
            _refuse_second(ask(cluster, stored(InCluster(cluster.api, namespace))), namespace)
    write_objects(render_crds(), form=form)
    output.note(
        f"Next, run `{shown_program()} install | kubectl apply -f -` to install the control plane."
    )


@contextmanager
def _reached(given: Globals) -> Iterator[Cluster]:
    """The cluster, which answers. CliError in Linkerd's words where it does not."""
    from linkerd2_py.cli.checks.cluster.reach import check_version

    with ExitStack() as stack:
        try:
            found = stack.enter_context(opened(given))
            version = ask(found, found.api.get("/version", {}))
        except CliError as error:
            raise CliError(f"{_UNREACHABLE}: {error}. {_IGNORE}") from error
        check_version(str(version.get("gitVersion")))
        yield found


async def _for_cluster(
    api: ApiServer, chosen: Values, files: TrustFiles, *, namespace: str, check: bool
) -> list[dict[str, Any]]:
    from linkerd2_py.charts.values import defaults
    from linkerd2_py.cli.lifecycle.cluster import api_server_ports, check_kinds, check_rights

    there = InCluster(api, namespace)
    _refuse_second(await stored(there), namespace)
    if check:
        await check_kinds(api, command="install")
    ports = await api_server_ports(api)
    if ports and look_up(chosen, _API_PORTS) == look_up(defaults(), _API_PORTS):
        put(chosen, _API_PORTS, ports)
    made = await installed(chosen, files, there=there, namespace=namespace)
    if check:
        await check_rights(api, made)
    return made


def _refuse_second(there: Stored, namespace: str) -> None:
    if there.whole:
        raise CliError(
            f"Can't install the Linkerd control plane in the '{namespace}' namespace. Reason:"
            f" ConfigMap/linkerd-config already exists. Run the command `{shown_program()} upgrade`,"
            " if you are looking to upgrade Linkerd."
        )


async def installed(
    chosen: Values, files: TrustFiles, *, there: Objects, namespace: str
) -> list[dict[str, Any]]:
    """The objects, with the certificates that are there where an install stopped halfway. CliError."""
    values = copy.deepcopy(chosen)
    found = await stored(there)
    _refuse_second(found, namespace)
    with_trust(values, _trust(values, files, namespace=namespace, there=found))
    await with_webhooks(values, namespace=namespace, there=there)
    return control_plane(values, chosen, namespace=namespace)


def _trust(values: Values, files: TrustFiles, *, namespace: str, there: Stored) -> Trust:
    """Given, else what an install that stopped halfway has left, else a new one. CliError."""
    in_values = trust_of_values(values)
    if is_external(values):
        return _external(files, in_values, there)
    if files.any:
        return trust_of_files(files)
    if in_values.anchors or in_values.key or in_values.certificate:
        if not (in_values.anchors and in_values.key and in_values.certificate):
            raise bad_usage(
                "identityTrustAnchorsPEM, identity.issuer.tls.crtPEM and identity.issuer.tls.keyPEM go"
                " together: give all three, or none"
            )
        check_trust(in_values)
        return in_values
    if there.issuer is None:
        return new_trust(trust_domain(values), namespace=namespace)
    if not there.anchors:
        raise CliError(
            f"the Secret linkerd-identity-issuer is in the namespace {namespace!r}, and nothing says"
            " which anchor vouches for it: delete it, or give anchor and issuer as files"
        )
    if not there.issuer.certificate:
        raise CliError(
            f"the Secret linkerd-identity-issuer in the namespace {namespace!r} is made by somebody else:"
            " say --identity-external-issuer, or delete it"
        )
    check_trust(there.issuer)
    output.note("An install stopped halfway here: its trust anchor and its issuer are kept.")
    return there.issuer


def _external(files: TrustFiles, in_values: Trust, there: Stored) -> Trust:
    """The anchors of an issuer that somebody else makes."""
    if files.certificate or files.key or in_values.key or in_values.certificate:
        raise bad_usage(
            "--identity-issuer-certificate-file and --identity-issuer-key-file must not be specified if"
            " --identity-external-issuer=true"
        )
    if files.anchors is not None:
        found = Trust(read_text(Path(files.anchors), flag=ANCHORS_FLAG))
    else:
        found = Trust(in_values.anchors or there.anchors)
    if not found.anchors:
        raise CliError(
            "with --identity-external-issuer the Secret linkerd-identity-issuer must be there, with ca.crt,"
            f" before the control plane is; or give the anchors with {ANCHORS_FLAG}"
        )
    check_anchors(found)
    return found
