"""Help of the processes of a cluster's control plane."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from linkerd2_py.cli.main import run
run(["controller", *sys.argv[1:], "--help"])
heavy = {"asyncio", "cryptography", "grpc", "kubernetes", "starlette", "uvicorn"} & sys.modules.keys()
print(sorted(heavy), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "destination"),
        (["destination"], "--identity-trust-domain"),
        (["destination"], "--outbound-transport-mode"),
        (["identity"], "--identity-issuance-lifetime"),
        (["proxy-api"], "--identity-addr"),
        (["public-api"], "--destination-addr"),
        (["web"], "--enforced-host"),
    ],
)
def test_help_needs_nothing_that_its_process_will(words: list[str], expected: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True, check=True
    )
    assert expected in done.stdout
    assert done.stderr == "[]\n"
