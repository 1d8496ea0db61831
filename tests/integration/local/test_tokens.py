"""Tokens that a mesh.yaml asks for, from the file to the answer: by HTTP/1 and HTTP/2, with keys of a file that
change under the mesh, and an edit that takes the rule away.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.integration.local.mesh_cli import mesh_up
from tests.support.tokens import claims, jwk, jwks, key_for, token
from tests.support.wait import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

MESH = """
namespace: shop
services:
  web:
    port: 80
    targetPort: 8080
    workload: web
    policy:
      jwt:
        login: {issuer: "https://login.example", keys: {file: %s}, headers: {x-user: sub}}
      allow: [{jwt: login}]
workloads:
  web: {command: [sh, -c, 'exec python3 -m http.server --bind "$HOST" "$PORT"']}
"""
OPEN = MESH.replace("allow: [{jwt: login}]", "allow: [meshed, {jwt: login}]")
STATUS = ("-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "10")


def test_who_shows_a_token_is_let_in(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    keys.write_text(jwks(jwk(key_for("ES256"), kid="one")))
    with mesh_up(tmp_path, {"mesh.yaml": MESH % keys}) as made:
        door = made.state()["links"]["web"]

        def status(*words: str) -> str:
            command = ["curl", *STATUS, *words, door]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        good = ("-H", f"Authorization: Bearer {token()}")
        for version in ("--http1.1", "--http2-prior-knowledge"):
            assert status(version) == "401"
            assert status(version, *good) == "200"
            old = token(claims(exp=1))
            assert status(version, "-H", f"Authorization: Bearer {old}") == "401"
        thief = ("-H", f"Authorization: Bearer {token(key=key_for('ES256', 'other'))}")
        assert status(*thief) == "401"
        # The file has that key now, in the place of the other.
        keys.write_text(jwks(jwk(key_for("ES256", "other"))))
        after = (
            "-H",
            f"Authorization: Bearer {token(claims(jti='2'), key=key_for('ES256', 'other'))}",
        )
        eventually(lambda: status(*after) == "200")
        assert status(*good) == "401"
        (made.root / "mesh.yaml").write_text(OPEN % keys)
        eventually(lambda: status() == "200")
