"""A pod's proxy, ours or Linkerd's: both get the environment that Linkerd's injector writes."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.support.certificates import csr, dns_names, new_key
from tests.support.http1_client import Answer, Http1Client
from tests.support.interop.programs import Program, need
from tests.support.netlab import PROXY_UID, Host
from tests.support.processes import Child
from tests.support.sidecar import PREFIX
from tests.support.wait import eventually

START_S: Final = 30.0
ADMIN: Final = 4191
_PRIVATE: Final = "10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8"


class Make(StrEnum):
    """Whose program it is."""

    OURS = "ours"
    LINKERD = "linkerd"

    def words(self) -> list[str | Path]:
        """That start it; the test is skipped where there is none."""
        if self is Make.LINKERD:
            return [need(Program.PROXY)]
        return [sys.executable, "-P", "-m", "linkerd2_py.proxy"]


@dataclass(frozen=True, slots=True)
class ControlPlaneAt:
    """Where a proxy asks: `destination` also answers policies, at a port of its own."""

    destination: str
    identity: str
    anchors: str


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the pod runs as, and what proves it."""

    namespace: str
    name: str
    token: str

    @property
    def identity(self) -> str:
        return identity(self.name, self.namespace)


def identity(account: str, namespace: str) -> str:
    """What a service account is called between proxies."""
    return f"{account}.{namespace}.serviceaccount.identity.linkerd.cluster.local"


def environment(
    pod: str, host: Host, *, account: Account, at: ControlPlaneAt, folder: Path
) -> dict[str, str]:
    """As the injector of Linkerd 2.20 writes it, with addresses in place of names of the cluster's DNS."""
    controller = identity("linkerd-destination", "linkerd")
    settings = {
        "CORES": "1",
        "CORES_MIN": "1",
        "SHUTDOWN_ENDPOINT_ENABLED": "false",
        "LOG": "warn,linkerd=info,hickory=error,[{headers}]=off,[{request}]=off",
        "LOG_FORMAT": "plain",
        "DESTINATION_SVC_ADDR": f"{at.destination}:8086",
        "DESTINATION_SVC_NAME": controller,
        "DESTINATION_PROFILE_NETWORKS": _PRIVATE,
        "DESTINATION_PROFILE_SUFFIXES": "svc.cluster.local.",
        "DESTINATION_CONTEXT": f'{{"ns":"{account.namespace}", "nodeName":"node-a", "pod":"{pod}"}}\n',
        "POLICY_SVC_ADDR": f"{at.destination}:8090",
        "POLICY_SVC_NAME": controller,
        "POLICY_WORKLOAD": f'{{"ns":"{account.namespace}", "pod":"{pod}"}}\n',
        "POLICY_CLUSTER_NETWORKS": _PRIVATE,
        "INBOUND_DEFAULT_POLICY": "all-unauthenticated",
        "CONTROL_STREAM_INITIAL_TIMEOUT": "3s",
        "CONTROL_STREAM_IDLE_TIMEOUT": "5m",
        "CONTROL_STREAM_LIFETIME": "1h",
        "INBOUND_CONNECT_TIMEOUT": "100ms",
        "OUTBOUND_CONNECT_TIMEOUT": "1000ms",
        "OUTBOUND_DISCOVERY_IDLE_TIMEOUT": "5s",
        "INBOUND_DISCOVERY_IDLE_TIMEOUT": "90s",
        "CONTROL_LISTEN_ADDR": "0.0.0.0:4190",
        "ADMIN_LISTEN_ADDR": f"0.0.0.0:{ADMIN}",
        "OUTBOUND_LISTEN_ADDR": "127.0.0.1:4140",
        "OUTBOUND_LISTEN_ADDRS": "127.0.0.1:4140",
        "INBOUND_LISTEN_ADDR": "0.0.0.0:4143",
        "INBOUND_IPS": host.v4,
        "INBOUND_PORTS": "",
        "INBOUND_ACCEPT_KEEPALIVE": "10000ms",
        "OUTBOUND_CONNECT_KEEPALIVE": "10000ms",
        "INBOUND_ACCEPT_USER_TIMEOUT": "30s",
        "OUTBOUND_CONNECT_USER_TIMEOUT": "30s",
        "OUTBOUND_METRICS_HOSTNAME_LABELS": "false",
        "INBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL": "10s",
        "INBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT": "3s",
        "OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_INTERVAL": "10s",
        "OUTBOUND_SERVER_HTTP2_KEEP_ALIVE_TIMEOUT": "3s",
        "INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION": "25,587,3306,4444,5432,6379,9300,11211",
        "IDENTITY_DIR": str(folder),
        "IDENTITY_TRUST_ANCHORS": at.anchors,
        "IDENTITY_TOKEN_FILE": str(folder / "token"),
        "IDENTITY_SVC_ADDR": f"{at.identity}:8080",
        "IDENTITY_SVC_NAME": identity("linkerd-identity", "linkerd"),
        "IDENTITY_LOCAL_NAME": account.identity,
    }
    return {PREFIX + name: text for name, text in settings.items()}


def write_identity(folder: Path, account: Account) -> None:
    """What the proxy reads at its start: a key, a request to certify it, a token."""
    folder.mkdir()
    key = new_key()
    pkcs8 = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.p8").write_bytes(pkcs8)
    (folder / "csr.der").write_bytes(csr(key, extensions=[dns_names(account.identity)]))
    (folder / "token").write_text(account.token)


class PodProxy:
    """One that runs on `host`."""

    def __init__(self, host: Host, make: Make, *, environ: dict[str, str]) -> None:
        self._host = host
        self._starts = 0
        self.make = make
        self.environ = environ
        self.child = self._start()

    def _start(self) -> Child:
        log = f"proxy-{self._starts}"
        self._starts += 1
        return self._host.start(self.make.words(), log=log, uid=PROXY_UID, env=self.environ)

    def wait_ready(self) -> None:
        """Until it is certified and serves."""
        eventually(self._is_ready, deadline_s=START_S, what=f"{self.child} is ready")

    def ask(self, path: str) -> Answer:
        """An answer of its admin server."""
        with self._host.entered(), Http1Client.connect((self._host.v4, ADMIN)) as client:
            return client.request(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())

    def series(self, name: str, **labels: str) -> dict[str, float]:
        """The series of a metric that have these labels, by what is between their braces."""
        found = {}
        for line in self.ask("/metrics").body.decode().splitlines():
            match = re.fullmatch(rf"{name}\{{(.*)\}} (\S+)", line)
            if match and all(f'{label}="{text}"' in match[1] for label, text in labels.items()):
                found[match[1]] = float(match[2])
        return found

    def count(self, name: str, **labels: str) -> float:
        """Their sum."""
        return sum(self.series(name, **labels).values())

    def _is_ready(self) -> bool:
        assert self.child.process.poll() is None, f"ended: {self.child}"
        try:
            return bool(self.ask("/ready").status == 200)
        except OSError:
            return False
