"""Clients that ask again and again what fails, and so add to it."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from linkerd2_py.controlplane.hunt.evidence import Called, Evidence
from linkerd2_py.controlplane.hunt.finding import Finding, Weight
from linkerd2_py.controlplane.hunt.words import owners, percent, resource_of
from linkerd2_py.controlplane.mesh.objects import Key

_FAILS: Final = 0.5
_RPS: Final = 10.0
"""Failing calls each second of one pod: whoever waits between two attempts makes fewer."""
_TIMES: Final = 5.0
"""How many calls a client makes for each that it is asked."""
_RETRIED: Final = 0.5


def find(evidence: Evidence) -> Iterator[Finding]:
    """By what a client sends for what it is asked, and by the retries that proxies count."""
    pairs: defaultdict[tuple[Key, Key], list[Called]] = defaultdict(list)
    for call in evidence.called:
        named = evidence.service(call.authority)
        if named is not None:
            pairs[call.client, named.key].append(call)
    for (client, service), calls in sorted(pairs.items()):
        total = sum(call.times for call in calls)
        failed = sum(call.times for call in calls if call.outcome.is_failure)
        rps = failed / evidence.window_s
        asked_rps = sum(evidence.arrived(client)) / evidence.window_s
        storms = failed >= total * _FAILS and rps >= _RPS and rps >= asked_rps * _TIMES
        retried = evidence.retries.get((client, service), 0.0)
        if storms or retried >= _RETRIED:
            yield _finding(
                client, service, calls, failed / total if total else 0.0, evidence=evidence
            )


def _finding(
    client: Key, service: Key, calls: list[Called], share: float, *, evidence: Evidence
) -> Finding:
    rps = sum(call.times for call in calls) / evidence.window_s
    asked = sum(evidence.arrived(client)) / evidence.window_s
    for_what = f"while it is asked {asked:.1f} times" if asked else "with nobody asking it"
    where = resource_of(client, evidence=evidence)
    sentence = (
        f"{where.partition('/')[2]}: a storm of retries: {client.name} calls {service.name} {rps:.0f} times "
        f"a second, {for_what}, though {percent(share, of=1.0)} of it fails"
    )
    commands = (f"stat au --from {where}", f"stat svc/{service.name}")
    servers = owners([call.server for call in calls], evidence=evidence)
    return Finding(Weight.STORM, client.namespace, where, sentence, commands, share, servers)
