"""Which Server a port of a workload is, if any."""

from __future__ import annotations

from linkerd2_py.controlplane.mesh.inbound import InboundSettings
from linkerd2_py.controlplane.mesh.objects import Labels
from linkerd2_py.controlplane.mesh.policy import Server
from linkerd2_py.controlplane.policy.inbound.questions import PortQuestion
from linkerd2_py.controlplane.policy.inbound.reading import Reading


def server_of(
    question: PortQuestion, *, labels: Labels, said: InboundSettings, reading: Reading
) -> Server | None:
    """The oldest of those that select the workload and this port of it, by its number or by a name that the
    workload has for it; of two of one age the first by name.
    """
    asking, port = question.workload, question.port
    known_as: tuple[int | str, ...] = (port, *said.names_of(port))
    found = [
        server
        for name in known_as
        for server in reading.servers(asking.namespace, name)
        if _selects(server, question, labels=labels)
    ]
    return min(found, key=lambda server: (server.created, server.name), default=None)


def _selects(server: Server, question: PortQuestion, *, labels: Labels) -> bool:
    selector = server.pods if question.workload.pod else server.external_workloads
    return selector is not None and selector.selects(labels)
