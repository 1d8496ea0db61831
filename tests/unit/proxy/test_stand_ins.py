"""Stand-ins: uvloop and protobuf work over them, and whoever wants what they stand for is told or gets it."""

import subprocess
import sys

SCRIPT = """
import sys
from linkerd2_py.proxy.stand_ins import stand_in
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
        "import ssl; from linkerd2_py.proxy.stand_ins import stand_in; stand_in(); "
        "import ssl as again; assert again is ssl and ssl.OPENSSL_VERSION"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_protobufs_python_twin_is_loaded_when_somebody_asks() -> None:
    script = (
        "import sys; from linkerd2_py.proxy.stand_ins import stand_in; stand_in(); "
        "from linkerd2_py.proto.gen import destination_pb2 as messages; "
        "name = 'google.protobuf.internal.python_message'; "
        "assert not hasattr(sys.modules[name], '__file__'); "
        "update = messages.Update.FromString(messages.Update(no_endpoints={}).SerializeToString()); "
        "assert update.WhichOneof('update') == 'no_endpoints'; "
        "from google.protobuf.internal import python_message; "
        "assert python_message.GeneratedProtocolMessageType; assert sys.modules[name].__file__"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_traceback_is_printed_as_ever() -> None:
    script = (
        "from linkerd2_py.proxy.stand_ins import stand_in; stand_in()\n"
        "import asyncio, traceback, sys\n"
        "assert not hasattr(sys.modules['tokenize'], '__file__')\n"
        "async def fail(): raise ValueError('as ever')\n"
        "try: asyncio.run(fail())\n"
        "except ValueError: print(traceback.format_exc())\n"
        "import linecache; assert linecache.getline(traceback.__file__, 1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.rstrip().endswith("ValueError: as ever")
