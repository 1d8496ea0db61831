"""A transparent mesh of programs that are told nothing, and what of the machine it may change."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.integration.local.mesh_cli import MeshCli
from tests.support.privileges import need_root

# nginx as Debian has it: nothing in its configuration or environment speaks of a mesh.
NGINX = """\
daemon off;
master_process off;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{
        listen 8080;
        listen [::]:8080;
        location / {{ return 200 "$remote_addr $http_host\\n"; }}
    }}
}}
"""
# Speaks first, and to whoever sends nothing.
GREETER = """
import os, socket
listener = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
while True:
    peer, _ = listener.accept()
    peer.sendall(b"welcome\\n")
    peer.close()
"""
MESH = """
namespace: shop
services:
  files: {{port: 80, targetPort: 8080, workload: files}}
  peers: {{port: 8080, workload: files, clusterIP: None}}
  greet: {{port: 2525, workload: greeter, opaque: true}}
workloads:
  files:
    command: [sh, -c, 'exec nginx -p {folder} -e stderr -c {folder}/nginx.conf -g "pid {folder}/$POD_NAME.pid;"']
    replicas: 2
  greeter: {{command: [python, greeter.py]}}
  reader: {{command: [sleep, infinity]}}
  outsider: {{command: [sleep, infinity], meshed: false}}
"""


class Machine:
    """What of the machine a mesh may change, as text."""

    def __init__(self) -> None:
        self.before = self.now()

    def now(self) -> dict[str, str]:
        commands = {
            "namespaces": "ip netns list",
            "links": "ip -o link show | sed 's/ qlen.*//; s/^[0-9]*: //'",
            "routes": "ip route show table all; ip -6 route show table all",
            "rules": "iptables-save",
            "forwarding": "cat /proc/sys/net/ipv4/ip_forward",
        }
        return {
            name: subprocess.run(
                ["sh", "-c", text], capture_output=True, text=True, check=True
            ).stdout
            for name, text in commands.items()
        }

    def is_as_before(self) -> bool:
        now = self.now()
        # Loading rules once makes empty tables.
        return all(_lines(now[name]) <= _lines(self.before[name]) for name in now)


def _lines(text: str) -> set[str]:
    """Those that speak of a mesh: everything else on this machine comes and goes by itself."""
    return {line for line in text.splitlines() if re.search(r"\bl5d\d|^\d+$", line)}


def make(root: Path) -> MeshCli:
    """Its files; nothing runs yet."""
    made = MeshCli(root)
    (root / "temporary").mkdir()
    (root / "nginx.conf").write_text(NGINX.format(folder=root / "temporary"))
    (root / "greeter.py").write_text(GREETER)
    (root / "mesh.yaml").write_text(MESH.format(folder=root))
    return made


def up(cli: MeshCli, *words: str) -> str:
    """Start it; everything is ready when this returns."""
    return cli.ok("local", "up", "--transparent", "-f", "mesh.yaml", "-d", *words, timeout_s=120)


@contextmanager
def running(root: Path) -> Iterator[MeshCli]:
    """One that is up until the block ends."""
    need_root()
    made = make(root)
    up(made)
    try:
        yield made
    finally:
        made.stop()


def inside(cli: MeshCli, pod: str, *command: str) -> str:
    """What a command prints that runs where the pod's program does."""
    return cli.ok("local", "exec", pod, "--", *command)


def get(cli: MeshCli, pod: str, *words: str) -> tuple[str, str]:
    """Who nginx saw, and the Host it was asked for."""
    client, host = inside(cli, pod, "curl", "-sS", "-m", "10", *words).split()
    return client, host


def pods(cli: MeshCli) -> dict[str, Any]:
    """All pods by name."""
    return {pod["name"]: pod for pod in cli.json("get", "pods")}


def count(cli: MeshCli, pod: str, family: str, **labels: str) -> float:
    """The sum of the series of the pod's proxy that have these labels."""
    metrics = cli.ok("diagnostics", "proxy-metrics", f"po/{pod}")
    total = 0.0
    for line in metrics.splitlines():
        if line.startswith(family + "{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
            total += float(line.rpartition(" ")[2])
    return total


def netns_of(cli: MeshCli, pod: str) -> str:
    """The name of a pod's namespace."""
    return f"{cli.state()['network']}-{pod}"
