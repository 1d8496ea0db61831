"""From what a user said, and what is there, to the objects of a control plane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from linkerd2_py import __version__
from linkerd2_py.charts.paths import look_up, put
from linkerd2_py.cli import PROGRAM
from linkerd2_py.cli.errors import CliError
from linkerd2_py.cli.lifecycle.flags import (
    Values,
    check_resources,
    values_of_flags,
)
from linkerd2_py.cli.lifecycle.stored import CONFIG, Objects, overrides_secret
from linkerd2_py.cli.lifecycle.trust import Trust
from linkerd2_py.cli.lifecycle.webhooks import (
    WEBHOOKS,
    kept_certificate,
    needs_one,
    put_certificate,
)

if TYPE_CHECKING:
    from linkerd2_py.charts.values import Layers
    from linkerd2_py.controlplane.kubernetes_api import Json

_FIRST: Final = frozenset({"Namespace"})


@dataclass(frozen=True, slots=True)
class Said:
    """What a command line says of values: flags of their own, and the general ones."""

    flags: Mapping[str, Any]
    files: Sequence[str] = ()
    set: Sequence[str] = ()
    set_string: Sequence[str] = ()
    set_file: Sequence[str] = ()

    def layers(self) -> Layers:
        """The general ones. CliError for a file that cannot be read."""
        from linkerd2_py.charts.values import Layers

        return Layers(
            files=[_read(name) for name in self.files],
            set=self.set,
            set_string=self.set_string,
            set_file=self.set_file,
            names=self.files,
        )


def values_said(said: Said, *, stored: Mapping[str, Any] | None = None) -> Values:
    """Defaults, what was `stored`, `--ha`, flags, files, `--set`: each over those before. CliError."""
    from linkerd2_py.charts.evaluate import ValuesError
    from linkerd2_py.charts.values import defaults, ha, laid_over, values_of

    try:
        below = laid_over(defaults(), stored or {})
        if said.flags.get("--ha"):
            below = laid_over(below, ha())
        below = laid_over(below, values_of_flags(said.flags, below=below))
        made = values_of(said.layers(), below=below)
    except ValuesError as error:
        raise CliError(str(error)) from error
    check_resources(made)
    return made


def with_trust(values: Values, trust: Trust) -> None:
    """The anchors, and the issuer where it is ours."""
    # As the bundle will have it: pods say by a hash of this text with which bundle they were started.
    put(values, "identityTrustAnchorsPEM", trust.anchors.strip())
    if trust.key:
        put(values, "identity.issuer.tls.crtPEM", trust.certificate.strip())
        put(values, "identity.issuer.tls.keyPEM", trust.key.strip())


def trust_of_values(values: Mapping[str, Any]) -> Trust:
    """What files and `--set-file` may have said of it."""
    return Trust(
        *(
            str(look_up(values, path) or "")
            for path in (
                "identityTrustAnchorsPEM",
                "identity.issuer.tls.crtPEM",
                "identity.issuer.tls.keyPEM",
            )
        )
    )


def is_external(values: Mapping[str, Any]) -> bool:
    """Whether somebody else makes the issuer."""
    return bool(look_up(values, "identity.issuer.scheme") == "kubernetes.io/tls")


def trust_domain(values: Mapping[str, Any]) -> str:
    """What identities end with."""
    return str(values.get("identityTrustDomain") or values.get("clusterDomain") or "cluster.local")


async def with_webhooks(values: Values, *, namespace: str, there: Objects) -> None:
    """Certificates for those that have none: the ones that are there, while they last."""
    for webhook in WEBHOOKS:
        if needs_one(webhook, values):
            secret = await there.get("secrets", webhook.secret)
            made = kept_certificate(webhook, namespace=namespace, secret=secret)
            put_certificate(values, webhook, made)


def control_plane(
    values: Mapping[str, Any], chosen: Mapping[str, Any], *, namespace: str
) -> list[Json]:
    """Everything, in an order in which an apply may end anywhere. CliError.

    `chosen` are the values without what is made by itself: what is kept of them comes first, with the
    anchors. The configuration comes last: where it is, everything before it is, too.
    """
    from linkerd2_py.charts.evaluate import ValuesError
    from linkerd2_py.charts.render import render
    from linkerd2_py.charts.values import defaults

    by = f"{PROGRAM}/cli {__version__}"
    try:
        made = render({**values, "cliVersion": by}, namespace=namespace)
    except ValuesError as error:
        raise CliError(str(error)) from error
    kept = overrides_secret(
        {**chosen, "identityTrustAnchorsPEM": values.get("identityTrustAnchorsPEM")},
        defaults=defaults(),
        namespace=namespace,
    )
    first = [one for one in made if one["kind"] in _FIRST]
    last = [one for one in made if (one["kind"], one["metadata"]["name"]) == ("ConfigMap", CONFIG)]
    rest = [one for one in made if one not in first and one not in last]
    return [*first, kept, *rest, *last]


def _read(name: str) -> str:
    """The text of a file of values, of an address, or of standard input."""
    from linkerd2_py.cli.manifests.read import read_manifests

    found = read_manifests(name)
    if len(found) != 1:
        raise CliError(f"--values: {name}: name one file, not a folder")
    return found[0].text
