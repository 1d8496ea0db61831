"""The real destination and identity APIs over a service of our choice, as a program of its own.

    python -m bench.discovery --endpoint 127.0.0.1:3001 --endpoint 127.0.0.1:3002 [--meshed]
                              [--passing 127.0.0.1:3003 --updates 100] [--mesh FILE]
                              [--issuer DIR --token NAME=FILE --identity NAME]

Each endpoint is a ready pod of the one service. Those that pass come and go in turn, one change at a time, so
many a second, while the others stay. With a mesh.yaml of that service proxies may ask for policy, too, as it
says. With an issuer it certifies workloads, each by the token that it has
stored in that workload's file; what answers at the endpoints proves to be `--identity`. Prints `{"address":
"127.0.0.1:4711"}` when it serves, and at its end `{"updates": N}`.
"""

import argparse
import asyncio
import itertools
import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from linkerd2_py.base.tasks import spawn
from linkerd2_py.controlplane.destination.destination import Destination
from linkerd2_py.controlplane.identity.files import IssuerFiles
from linkerd2_py.controlplane.identity.identity import Identity, IdentitySettings
from linkerd2_py.controlplane.identity.tokens import WorkloadTokens
from linkerd2_py.controlplane.mesh.objects import DEPLOYMENT, PortSpec, Workload
from linkerd2_py.controlplane.mesh.store import MeshStore
from linkerd2_py.controlplane.policy.policy import Policy
from linkerd2_py.controlplane.policy.settings import Settings as PolicySettings
from linkerd2_py.controlplane.proxy_api.server import ProxyApi
from linkerd2_py.controlplane.run.components import what_proxies_ask
from linkerd2_py.controlplane.sources.local.mesh_file import load_mesh_file
from linkerd2_py.controlplane.sources.local.mesh_spec import MeshSpec, ServiceSpec
from linkerd2_py.controlplane.sources.local.replica import Replica
from linkerd2_py.controlplane.sources.local.source import LocalSource

NAMESPACE = WORKLOAD = SERVICE = "bench"
PORT = 80
_OWNER_ONLY = 0o600
AUTHORITY = f"{SERVICE}.{NAMESPACE}.svc.cluster.local"


def pod(number: int, address: str, *, meshed: bool, identity: str = "") -> Replica:
    """A ready pod that is reached at `host:port`."""
    host, _, port = address.rpartition(":")
    return Replica(
        namespace=NAMESPACE,
        name=f"{WORKLOAD}-{number}",
        workload=WORKLOAD,
        ip=host,
        ports={PORT: int(port)},
        ready=True,
        meshed=meshed,
        status="Running",
        identity=identity,
    )


def fill(
    source: LocalSource, pods: Sequence[Replica], *, opaque: bool, mesh: MeshSpec | None = None
) -> None:
    """One service with these pods, and what the file says of it, if there is one."""
    ports = (PortSpec("bench", PORT, PORT, opaque=opaque),)
    plain = ServiceSpec(NAMESPACE, SERVICE, WORKLOAD, ports)
    source.describe(
        services=[plain if mesh is None else mesh.services[SERVICE]],
        workloads=[Workload(DEPLOYMENT, NAMESPACE, WORKLOAD, replicas=len(pods))],
        policies=() if mesh is None else mesh.policies,
    )
    for replica in pods:
        source.put(replica)


def certifying(issuer: Path, tokens: Mapping[str, Path], *, metrics: CollectorRegistry) -> Identity:
    """An identity service that takes the tokens which it puts into those files."""
    known = WorkloadTokens()
    for name, path in tokens.items():
        path.touch(mode=_OWNER_ONLY)
        path.write_bytes(known.issue(name))
    return Identity(IdentitySettings(IssuerFiles.find(issuer), known), metrics=metrics)


class Churn:
    """Pods that come and go, in turn, at an even pace."""

    def __init__(self, source: LocalSource, pods: Sequence[Replica]) -> None:
        self._source = source
        self._pods = pods
        self._present: set[str] = set()
        self.updates = 0

    def step(self, pod: Replica) -> None:
        """Take it away if it is there, else bring it."""
        if pod.name in self._present:
            self._present.remove(pod.name)
            self._source.remove(pod)
        else:
            self._present.add(pod.name)
            self._source.put(pod)
        self.updates += 1

    async def run(self, per_second: float) -> None:
        """Until cancelled; a late step is made up for, so that the rate holds."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for pod in itertools.cycle(self._pods):
            due += 1 / per_second
            await asyncio.sleep(max(due - loop.time(), 0))
            self.step(pod)


async def serve(options: argparse.Namespace) -> None:
    """Until SIGTERM."""
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    store = MeshStore()
    source = LocalSource(store)
    pods = [
        pod(number, address, meshed=options.meshed, identity=options.identity)
        for number, address in enumerate([*options.endpoint, *options.passing])
    ]
    stable = len(options.endpoint)
    mesh = load_mesh_file(options.mesh) if options.mesh else None
    fill(source, pods[:stable], opaque=options.opaque, mesh=mesh)
    metrics = CollectorRegistry()
    destination = Destination(store, metrics=metrics)
    identity = (
        certifying(options.issuer, dict(options.token), metrics=metrics) if options.issuer else None
    )
    policy = None if mesh is None else Policy(store, settings=PolicySettings(), metrics=metrics)
    api = ProxyApi(what_proxies_ask(destination=destination, policy=policy, identity=identity))
    api.bind()
    print(json.dumps({"address": await api.start()}), flush=True)
    churn = Churn(source, pods[stable:])
    churning = spawn(churn.run(options.updates), name="churn") if options.updates else None
    await ending.wait()
    if churning is not None:
        churning.cancel()
        await asyncio.wait([churning])
    await api.stop(grace_s=0)
    destination.close()
    if policy is not None:
        policy.close()
    print(json.dumps({"updates": churn.updates}), flush=True)


def named_file(text: str) -> tuple[str, Path]:
    """`NAME=FILE`."""
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"must be NAME=FILE, not {text!r}")
    return name, Path(path)


def main(words: Sequence[str]) -> None:
    """Run with the arguments of the command line."""
    parser = argparse.ArgumentParser(prog="bench.discovery", description=__doc__)
    parser.add_argument("--endpoint", action="append", default=[], metavar="HOST:PORT")
    parser.add_argument("--passing", action="append", default=[], metavar="HOST:PORT")
    parser.add_argument("--updates", type=float, default=0, metavar="PER_SECOND")
    parser.add_argument("--meshed", action="store_true", help="a proxy of ours is at each endpoint")
    parser.add_argument("--opaque", action="store_true", help="bytes are not looked at")
    parser.add_argument("--mesh", type=Path, metavar="FILE", help="what it says of the service")
    parser.add_argument("--issuer", type=Path, metavar="DIR", help="certify workloads with it")
    parser.add_argument(
        "--token", type=named_file, action="append", default=[], metavar="NAME=FILE"
    )
    parser.add_argument("--identity", default="", metavar="NAME", help="of each endpoint's proxy")
    options = parser.parse_args(words)
    if options.updates and not options.passing:
        parser.error("--updates needs endpoints that pass")
    if options.token and not options.issuer:
        parser.error("--token needs --issuer")
    asyncio.run(serve(options))


if __name__ == "__main__":
    main(sys.argv[1:])
