"""`uninject`: manifests without proxies."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Annotated, Any

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.options import output_option

FORMS = ("yaml", "json")


def uninject(
    where: Annotated[
        str, typer.Argument(metavar="FILE|FOLDER|URL|-", help="Where the manifests are.")
    ],
    form: Annotated[str, output_option(*FORMS)] = FORMS[0],
) -> None:
    """Take the proxy out of the workloads of Kubernetes manifests.

    Prints all documents, and on stderr what became of each:

      kubectl get deploy -o yaml | linkerd2-py uninject - | kubectl apply -f -
    """
    from linkerd2_py.cli.manifests.read import read_manifests
    from linkerd2_py.cli.manifests.rewrite import rewrite
    from linkerd2_py.cli.render import injection

    as_json = output.one_of(form, allowed=FORMS) == "json"
    results = [rewrite(one, without_proxy, as_json=as_json) for one in read_manifests(where)]
    for result in results:
        output.write(result.text)
        sys.stdout.flush()
        sys.stderr.write(injection.uninjected(result.reports))


def without_proxy(found: Any) -> tuple[Any, Any]:
    """An object as it was before it was injected, and what was found about it."""
    from linkerd2_py.controlplane.injector.report import report_on
    from linkerd2_py.controlplane.injector.uninject import uninject as taken_away
    from linkerd2_py.controlplane.injector.workload import read_workload

    workload = read_workload(found)
    result = taken_away(workload)
    report = report_on(workload, namespace=None, projects_token=True)
    if not result.is_changed:
        return found, report
    return result.found, replace(report, uninjected=True)
