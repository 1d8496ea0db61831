"""The stand-in for Python's TLS: uvloop imports over it, and whoever wants TLS is told."""

import subprocess
import sys

SCRIPT = """
import sys
from linkerd2_py.proxy.no_tls import stand_in
stand_in()
import asyncio, ssl, uvloop
assert "_ssl" not in sys.modules

async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b""
    writer.close()
    server.close()
    try:
        await asyncio.open_connection("127.0.0.1", 1, ssl=True)
    except NotImplementedError as error:
        print(error)

uvloop.run(main())
"""


def test_uvloop_runs_without_pythons_tls() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.strip() == "the proxy process has no Python TLS"


def test_a_loaded_ssl_is_left_alone() -> None:
    script = (
        "import ssl; from linkerd2_py.proxy.no_tls import stand_in; stand_in(); "
        "import ssl as again; assert again is ssl and ssl.OPENSSL_VERSION"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
