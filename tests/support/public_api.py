"""A small HTTP server in place of the public API, whose answers the test sets."""

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from linkerd2_py import __version__

POD = {
    "namespace": "shop",
    "name": "web-0",
    "owner": "deploy/web",
    "status": "Running",
    "meshed": True,
    "admin_addr": "127.0.0.1:1",
    "proxy_ready": True,
    "proxy_version": __version__,
    "ready": True,
    "restarts": 0,
    "ip": "127.0.0.1",
    "ip6": "",
    "identity": "",
    "uptime_s": 3.0,
    "problem": "",
    "last_exit": "",
    "since_last_exit_s": None,
    "labels": {"app": "web"},
    "since_last_report_s": 1.0,
}
SERVICE = {
    "namespace": "shop",
    "name": "web-svc",
    "labels": {"app": "web"},
    "cluster_ips": [],
    "headless": False,
    "ports": [{"port": 80, "target_port": 8080, "opaque": False}],
}
DEPLOYMENT = {
    "kind": "deployment",
    "namespace": "shop",
    "name": "web",
    "labels": {"app": "web"},
    "replicas": 1,
    "ready": 1,
    "meshed": True,
    "restarts": 0,
}


class Server:
    """`answers` maps a path below /api/v1 to a status and a body; anything but text becomes JSON."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, object]] = {
            "/version": (200, {"version": __version__}),
            "/self-check": (200, {"results": []}),
            "/pods": (200, {"pods": [POD]}),
            "/services": (200, {"services": [SERVICE]}),
            "/workloads": (200, {"workloads": [DEPLOYMENT]}),
        }
        answers = self.answers

        class Answering(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0].removeprefix("/api/v1")
                status, body = answers.get(path, (404, {"error": f"no such path: {path}"}))
                raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: object) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Answering)
        self.address = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def set_pods(self, *changes: Mapping[str, Any]) -> None:
        """One pod for each set of differences from a healthy one."""
        self.answers["/pods"] = (200, {"pods": [{**POD, **change} for change in changes]})

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
