"""`identity rotate-anchors`: from one trust anchor to another, and nobody notices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.durations import parse_duration
from linkerd2_py.cli.errors import EXIT_FAILURE, CliError, bad_usage
from linkerd2_py.cli.find import cluster as where
from linkerd2_py.cli.lifecycle.trust import (
    ANCHORS_FLAG,
    CERTIFICATE_FLAG,
    KEY_FLAG,
    Trust,
    TrustFiles,
    certificates,
    check_anchors,
    new_trust,
    read_text,
    trust_of_files,
)
from linkerd2_py.cli.objects import ask, checked_namespace, opened
from linkerd2_py.cli.options import Globals
from linkerd2_py.cli.rotation.act import Actor, NewTrust
from linkerd2_py.cli.rotation.run import Run, in_vain
from linkerd2_py.cli.rotation.tell import plan_lines, status_lines

if TYPE_CHECKING:
    from linkerd2_py.cli.rotation.look import Look


def rotate_anchors(
    plan: Annotated[
        bool, typer.Option("--plan", help="Say all steps, and which of them are over.")
    ] = False,
    apply: Annotated[
        bool, typer.Option("--apply", help="Do the next step, if what it needs is there.")
    ] = False,
    status: Annotated[
        bool,
        typer.Option("--status", help="Say where it stands, and what to run next (the default)."),
    ] = False,
    wait: Annotated[
        str | None,
        typer.Option(
            "--wait",
            metavar="DURATION",
            help="With --apply: all steps that can be done within this time.",
        ),
    ] = None,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="With --apply: restart workloads where a step needs it."),
    ] = False,
    anchors: Annotated[
        Path | None,
        typer.Option(
            ANCHORS_FLAG,
            metavar="FILE",
            help="The new anchor (default: one is made; its key is kept by nobody).",
        ),
    ] = None,
    certificate: Annotated[
        Path | None,
        typer.Option(CERTIFICATE_FLAG, metavar="FILE", help="An issuer below it."),
    ] = None,
    key: Annotated[
        Path | None, typer.Option(KEY_FLAG, metavar="FILE", help="The key of that issuer.")
    ] = None,
    *,
    given: Globals,
) -> None:
    """Rotate the trust anchor of a cluster's mesh, without a moment in which two proxies do not trust each
    other; what was reached is kept in the cluster, so that it may be interrupted and repeated.
    """
    if plan + apply + status > 1:
        raise bad_usage("--plan, --apply and --status exclude each other")
    if not apply and (wait or restart):
        raise bad_usage("--wait and --restart go with --apply")
    wait_s = parse_duration(wait, flag="--wait") if wait else None
    files = TrustFiles(anchors, certificate, key)
    namespace = checked_namespace(where.where(given))
    with opened(given) as cluster:
        actor = Actor(
            cluster.api, namespace, restart, lambda found: _new(found, files, namespace=namespace)
        )
        run = Run(actor, output.note)
        is_over = False
        if apply:
            steps = run.until_over(within_s=wait_s) if wait_s is not None else run.one_step()
            is_over = ask(cluster, steps)
        found = ask(cluster, run.look())
        if plan:
            output.write("\n".join(plan_lines(found)))
        else:
            manual = ask(cluster, in_vain(found, actor))
            output.write("\n".join(status_lines(found, manual=manual)))
    if wait_s is not None and not is_over:
        raise typer.Exit(EXIT_FAILURE)


def _new(found: Look, files: TrustFiles, *, namespace: str) -> NewTrust:
    """What to rotate to. CliError for files that cannot be used."""
    if found.external:
        return _of_others(files)
    trust = trust_of_files(files) if files.any else _made(found, namespace=namespace)
    if len(certificates(trust.anchors, what=ANCHORS_FLAG)) != 1:
        raise CliError(f"{ANCHORS_FLAG}: give the new anchor alone; the old ones are there already")
    _check_new(trust, found)
    return NewTrust(trust.anchors.encode(), trust.certificate.encode(), trust.key.encode())


def _of_others(files: TrustFiles) -> NewTrust:
    if files.anchors is None:
        raise CliError(
            f"the issuer is made by somebody else: give the anchor that is to vouch for"
            f" it with {ANCHORS_FLAG}"
        )
    if files.certificate or files.key:
        raise CliError("the issuer is made by somebody else: give no certificate and no key")
    trust = Trust(read_text(files.anchors, flag=ANCHORS_FLAG))
    check_anchors(trust)
    return NewTrust(trust.anchors.encode())


def _made(found: Look, *, namespace: str) -> Trust:
    """Of the trust domain that the issuer is called after."""
    from cryptography.x509.oid import NameOID

    names = found.issuer_certificates[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    prefix = f"identity.{namespace}."
    called = str(names[0].value) if names else ""
    if not called.startswith(prefix):
        raise CliError(
            f"the issuer is called {called!r}, not {prefix}<trust domain>: give anchor and issuer as files"
        )
    return new_trust(called.removeprefix(prefix), namespace=namespace)


def _check_new(trust: Trust, found: Look) -> None:
    from linkerd2_py.cli.rotation.look import anchors_in

    if anchors_in(trust.anchors) & found.seen.bundle:
        raise CliError(
            f"{ANCHORS_FLAG}: this anchor is in the bundle already: there is nothing to rotate"
        )
