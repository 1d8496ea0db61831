"""What somebody sees who listens on the bridge of a transparent mesh."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.local.mesh_cli import MeshCli
from tests.integration.local.transparent_mesh import inside, netns_of, pods
from tests.support.netns import entered
from tests.support.privileges import need_root
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SECRET = "nobody-may-read-this"
MESH = """
namespace: shop
services:
  who: {port: 80, targetPort: 8080, workload: who}
  mail: {port: 2525, targetPort: 2525, workload: mail, opaque: true}
workloads:
  who: {command: [python, who.py], ready: {http: 8080}}
  mail: {command: [python, mail.py]}
  caller: {command: [sleep, infinity]}
"""
WHO = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Who(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200); self.send_header("content-length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.send_response(200); self.send_header("content-length", "0"); self.end_headers()
    def log_message(self, *words): pass
ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Who).serve_forever()
"""
MAIL = """
import os, socket
listener = socket.create_server(("0.0.0.0", int(os.environ["PORT"])))
while True:
    with listener.accept()[0] as peer:
        try:
            peer.sendall(b"220 nobody-may-read-this\\n")
            peer.recv(100)
        except OSError:
            pass  # a probe looks and leaves
"""


class Ear:
    """Every IPv4 packet between two pods that passes one pod's link, by the ports of the receiver."""

    def __init__(self, netns: str, *, addresses: set[bytes]) -> None:
        with entered(netns):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        # The link alone: what a program says to its own proxy stays in its pod.
        self._socket.bind(("eth0", 0))
        self._socket.settimeout(0.1)
        self._addresses = addresses
        self.payload = bytearray()
        self.segments: Counter[int] = Counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                frame = self._socket.recv(1 << 17)
            except TimeoutError:
                continue
            packet = frame[14:]
            if frame[12:14] != b"\x08\x00" or packet[9] != socket.IPPROTO_TCP:
                continue
            if not {packet[12:16], packet[16:20]} <= self._addresses:
                continue
            segment = packet[(packet[0] & 15) * 4 : int.from_bytes(packet[2:4])]
            content = segment[(segment[12] >> 4) * 4 :]
            if content:
                self.segments[int.from_bytes(segment[2:4])] += 1
                self.payload += content


def test_between_meshed_pods_nothing_can_be_read(tmp_path: Path) -> None:
    need_root()
    cli = MeshCli(tmp_path)
    for name, text in (("who.py", WHO), ("mail.py", MAIL), ("mesh.yaml", MESH)):
        (tmp_path / name).write_text(text)
    cli.ok("local", "up", "--transparent", "-f", "mesh.yaml", "-d", timeout_s=120)
    try:
        found = pods(cli)
        addresses = {socket.inet_aton(pod["ip"]) for pod in found.values()}
        ear = Ear(netns_of(cli, "caller-0"), addresses=addresses)
        try:
            post = ("curl", "-sS", "-m", "10", "--data", SECRET, "http://who/secret-path")
            for _ in range(3):
                assert inside(cli, "caller-0", *post) == SECRET
            hear = "import socket; print(socket.create_connection(('mail', 2525), 10).recv(99).decode())"
            assert SECRET in inside(cli, "caller-0", "python3", "-c", hear)
            eventually(lambda: {8080, 4143} <= set(ear.segments), what=str(ear.segments))
        finally:
            ear.close()
        eventually(lambda: "caller-0" in cli.ok("edges", "po"), what="the call among the edges")
        edges = cli.ok("edges", "po")
    finally:
        cli.stop()
    for readable in (
        SECRET.encode(),
        b"secret-path",
        b"content-length",
        b"HTTP/",
        b"PRI * ",
        b"x-www-form",
    ):
        assert readable not in ear.payload
    # Records of TLS 1.3: of application data.
    assert b"\x17\x03\x03" in ear.payload
    assert "√" in edges
