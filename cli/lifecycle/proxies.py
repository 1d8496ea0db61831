"""Whether the proxies that run trust what a new issuer will sign."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from linkerd2_py.base.logs import printable
from linkerd2_py.cli.errors import CliError

if TYPE_CHECKING:
    from linkerd2_py.controlplane.sources.kubernetes.api_server import ApiServer

_MOST_NAMED = 10


async def check_proxies(api: ApiServer, made: Iterable[dict[str, Any]], *, namespace: str) -> None:
    """CliError that names the pods which would be cut off."""
    from linkerd2_py.cli.rotation.look import (
        BUNDLE,
        BUNDLE_KEY,
        ISSUER,
        certificates_in,
        fingerprint,
        is_below,
        issuer_certificates,
        look,
    )

    named = {(one["kind"], one["metadata"]["name"]): one for one in made}
    secret, bundle = named.get(("Secret", ISSUER)), named.get(("ConfigMap", BUNDLE))
    if secret is None or bundle is None:
        return
    found = await look(api, namespace=namespace)
    chain = issuer_certificates(secret)
    # Those that pods may have: of the bundle in force, and of the next one.
    anchors = {
        fingerprint(one): one
        for text in (found.bundle_text, bundle["data"][BUNDLE_KEY])
        for one in certificates_in(text.encode(), where=BUNDLE)
    }
    good = {mark for mark, anchor in anchors.items() if is_below(chain, [anchor])}
    # Pods of the control plane are replaced with it.
    behind = [
        proxy.called
        for proxy in found.seen.proxies
        if not proxy.component and not (proxy.anchors or frozenset()) & good
    ]
    if behind:
        named_pods = printable(", ".join(behind[:_MOST_NAMED]))
        more = f" and {len(behind) - _MOST_NAMED} more" if len(behind) > _MOST_NAMED else ""
        raise CliError(
            "You are attempting to use an issuer certificate which does not validate against the trust"
            f" anchors of the following pods: {named_pods}{more}. These pods do"
            " not have the current trust bundle and must be restarted. Use the --force flag to proceed anyway"
            " (this will likely prevent those pods from sending or receiving traffic)."
        )
