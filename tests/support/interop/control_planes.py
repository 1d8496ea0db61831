"""A control plane as it runs in a cluster: two pods, each with its own proxy, which ends TLS for the controllers
beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.http1_client import Http1Client
from tests.support.interop.programs import Program, need
from tests.support.interop.proxies import START_S, Make
from tests.support.netlab import Host
from tests.support.processes import Child
from tests.support.wait import eventually

OURS: Final = (sys.executable, "-m", "linkerd2_py.cli.main", "controller")
TRUST_DOMAIN: Final = "--identity-trust-domain=cluster.local"
# Both of Linkerd's write what they lead in the name of their pod.
_IN_POD: Final = ("env", "HOSTNAME=linkerd-destination")
OPAQUE_PORTS: Final = "25,587,3306,4444,5432,6379,9300,11211"


@dataclass(frozen=True, slots=True)
class Flags:
    """What controllers are told."""

    kubeconfig: Path
    issuer: Path
    trust_roots: Path
    transport_mode: str = "transparent"
    default_policy: str = "all-unauthenticated"


class Controllers:
    """The programs of a pod of the control plane, by name: they can be ended and started again."""

    def __init__(self, host: Host, words: Mapping[str, tuple[Sequence[str | Path], int]]) -> None:
        """For each program its words, and the port at which it says whether it is ready."""
        self._host = host
        self._words = words
        self._starts = 0
        self.running: dict[str, Child] = {}
        for name in words:
            self.start(name)

    def start(self, name: str) -> None:
        """It serves when this returns."""
        words, port = self._words[name]
        child = self._host.start(words, log=f"{name}-{self._starts}")
        self._starts += 1
        self.running[name] = child

        def is_ready() -> bool:
            assert child.process.poll() is None, f"ended: {child}"
            with (
                self._host.entered(),
                suppress(OSError),
                Http1Client.connect(("127.0.0.1", port)) as admin,
            ):
                return (
                    admin.request(b"GET /ready HTTP/1.1\r\nhost: localhost\r\n\r\n").status == 200
                )
            return False

        eventually(is_ready, deadline_s=START_S, what=f"{child} is ready")

    def restart(self, name: str, end: Callable[[Child], object] = Child.kill) -> None:
        """Another process in its place."""
        end(self.running[name])
        self.start(name)


def destination_words(
    answers: Make, flags: Flags, *, policy: Make
) -> dict[str, tuple[Sequence[str | Path], int]]:
    """What the pod `linkerd-destination` runs: destination at port 8086, policies at 8090."""
    mode = f"--outbound-transport-mode={flags.transport_mode}"
    if answers is Make.OURS:
        return {
            "destination": (_our_destination(flags, ":18086"), 9996),
            "proxy-api": (
                [
                    *(*OURS, "proxy-api", "--addr=:8086", "--addr=:8090", "--admin-addr=:9998"),
                    "--destination-addr=127.0.0.1:18086",
                ],
                9998,
            ),
        }
    policies = _our_destination(flags, ":8090") if policy is Make.OURS else _linkerd_policy(flags)
    return {
        "destination": (
            [
                *(
                    *_IN_POD,
                    need(Program.CONTROLLER),
                    "destination",
                    "-addr=:8086",
                    "-metrics-addr=:9997",
                ),
                *(f"-kubeconfig={flags.kubeconfig}", "-controller-namespace=linkerd"),
                *("-cluster-domain=cluster.local", "-identity-trust-domain=cluster.local"),
                *(f"-default-opaque-ports={OPAQUE_PORTS}", "-enable-ipv6=false", f"-{mode[2:]}"),
            ],
            9997,
        ),
        "policy": (policies, 9996),
    }


def identity_words(answers: Make, flags: Flags) -> dict[str, tuple[Sequence[str | Path], int]]:
    """What the pod `linkerd-identity` runs, at port 8080."""
    if answers is Make.OURS:
        ours = (
            *(*OURS, "identity", "--addr=:8080", "--admin-addr=:9990", TRUST_DOMAIN),
            *(f"--kubeconfig={flags.kubeconfig}", f"--issuer={flags.issuer}"),
            f"--trust-roots={flags.trust_roots}",
        )
        return {"identity": (ours, 9990)}
    program = (
        *(need(Program.CONTROLLER), "identity", "-addr=:8080", "-admin-addr=:9990"),
        *(f"-kubeconfig={flags.kubeconfig}", "-controller-namespace=linkerd"),
        *("-identity-trust-domain=cluster.local", "-identity-issuance-lifetime=24h"),
        *("-identity-clock-skew-allowance=20s", "-identity-scheme=linkerd.io/tls"),
        f"-issuer={flags.issuer}",
    )
    # It reads its anchors at one place only; a program of `ip netns exec` has mounts of its own.
    place = "/run/linkerd/identity/trust-roots"
    mounted = (
        f"mount -t tmpfs none /run && mkdir -p {place} &&"
        f' cp {flags.trust_roots}/ca-bundle.crt {place} && exec "$@"'
    )
    return {"identity": (["sh", "-c", mounted, "sh", *program], 9990)}


def _our_destination(flags: Flags, addr: str) -> list[str | Path]:
    return [
        *(*OURS, "destination", f"--addr={addr}", "--admin-addr=:9996", TRUST_DOMAIN),
        *(f"--kubeconfig={flags.kubeconfig}", f"--default-policy={flags.default_policy}"),
        f"--outbound-transport-mode={flags.transport_mode}",
    ]


def _linkerd_policy(flags: Flags) -> list[str | Path]:
    return [
        *(*_IN_POD, need(Program.POLICY_CONTROLLER)),
        *(f"--kubeconfig={flags.kubeconfig}", "--grpc-addr=0.0.0.0:8090"),
        *("--admin-addr=0.0.0.0:9996", "--admission-controller-disabled"),
        "--probe-networks=0.0.0.0/0,::/0",
        *(f"--default-policy={flags.default_policy}", f"--default-opaque-ports={OPAQUE_PORTS}"),
    ]
