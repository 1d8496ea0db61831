"""`install-cni`: the objects of the CNI plugin, for `kubectl apply -f -`."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from linkerd2_py.cli import output
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.lifecycle.flags import CNI_FLAGS, values_of_flags
from linkerd2_py.cli.lifecycle.making import Said
from linkerd2_py.cli.lifecycle.options import takes_values
from linkerd2_py.cli.lifecycle.written import FORMS, write_objects
from linkerd2_py.cli.objects import checked_namespace
from linkerd2_py.cli.options import Globals, output_option

_IMAGES: Final = ("image.name",)


@takes_values(CNI_FLAGS)
def install_cni(
    cni_namespace: Annotated[
        str, typer.Option("--cni-namespace", metavar="NAMESPACE", help="Where the plugin is.")
    ] = "linkerd-cni",
    form: Annotated[str, output_option(*FORMS)] = "yaml",
    *,
    wanted: Said,
    given: Globals,  # noqa: ARG001  # no cluster is asked, and these words are taken as everywhere
) -> None:
    """Print the objects of the CNI plugin, which gives pods their rules from the node: before `install
    --linkerd-cni-enabled`.
    """
    from linkerd2_py.charts.cni import cni_defaults, cni_values, render_cni
    from linkerd2_py.charts.evaluate import ValuesError

    output.one_of(form, allowed=FORMS)
    namespace = checked_namespace(cni_namespace)
    try:
        of_flags = values_of_flags(
            wanted.flags, below=cni_defaults(), flags=CNI_FLAGS, named=_IMAGES
        )
        made = render_cni(cni_values(wanted.layers(), over=of_flags), namespace=namespace)
    except ValuesError as error:
        raise CliError(str(error)) from error
    write_objects(made, form=form)
