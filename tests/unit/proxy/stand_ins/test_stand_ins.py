"""Stand-ins: libraries work over them, and whoever wants what they stand for is told or gets it."""

import subprocess
import sys

STANDS = "import sys\nfrom linkerd2_py.proxy.stand_ins import stand_in\nstand_in()\n"


def run(script: str) -> str:
    """What the script prints in a process with stand-ins; it must not fail or complain."""
    done = subprocess.run(
        [sys.executable, "-c", STANDS + script], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.strip()


LOOP = """
import asyncio, ssl, uvloop
assert "_ssl" not in sys.modules

class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, sender): self.transport.sendto(data, sender)

class Once(asyncio.DatagramProtocol):
    def __init__(self, answer): self.answer = answer
    def datagram_received(self, data, sender): self.answer.set_result(data)

async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(15, print)
    task = loop.create_task(asyncio.sleep(0, 7), name="named")
    assert await task == 7 and "named" in repr(task)
    done, late = await asyncio.wait([loop.create_task(asyncio.sleep(0))])
    assert len(done) == 1 and not late
    server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    answer = loop.create_future()
    client, _ = await loop.create_datagram_endpoint(
        lambda: Once(answer), remote_addr=server.get_extra_info("sockname")
    )
    client.sendto(b"echo")
    assert await answer == b"echo"
    client.close(), server.close()
    try:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    except TimeoutError:
        pass
    assert not hasattr(sys.modules["asyncio.base_events"], "__file__")
    assert "asyncio.streams" not in sys.modules
    try:
        await asyncio.open_connection("127.0.0.1", 1, ssl=True)
    except NotImplementedError as error:
        print(error)

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""


def test_uvloop_runs_over_parts_of_asyncio_and_without_pythons_tls() -> None:
    assert run(LOOP) == "the proxy process has no Python TLS"


def test_the_rest_of_asyncio_comes_when_it_is_asked_for() -> None:
    script = """
import asyncio
from asyncio import Task
late = asyncio.TaskGroup
assert asyncio.Task is Task and asyncio.tasks.Task is Task
assert sys.modules["asyncio.base_events"].__file__ and asyncio.base_events.BaseEventLoop
async def main():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b""
    writer.close(), server.close()
    return await asyncio.to_thread(lambda: "in a thread")
print(asyncio.run(main()))
"""
    assert run(script) == "in a thread"


def test_what_asyncio_never_had_is_missing_as_ever() -> None:
    script = "import asyncio\nprint(hasattr(asyncio, 'no_such_name'))"
    assert run(script) == "False"


def test_threads_answer_a_loop_over_stand_ins() -> None:
    script = """
import asyncio, uvloop
async def main():
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, lambda: "from a thread")
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    print(runner.run(main()))
"""
    assert run(script) == "from a thread"


def test_child_processes_can_be_started_after_all() -> None:
    assert run("import subprocess\nprint(subprocess.check_output(['echo', 'hi']).decode())") == "hi"


def test_a_loaded_module_is_left_alone() -> None:
    script = (
        "import asyncio, inspect, ssl, typing, google.protobuf.descriptor as descriptor\n"
        "from linkerd2_py.proxy.stand_ins import stand_in\nstand_in()\n"
        "import ssl as again\n"
        "assert again is ssl and ssl.OPENSSL_VERSION\n"
        "assert asyncio.start_server and inspect.signature and typing.get_type_hints\n"
        "assert descriptor.FieldDescriptor\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_a_traceback_is_printed_as_ever() -> None:
    script = (
        "import asyncio, linecache, logging, traceback\n"
        "assert not any(hasattr(each, '__file__') for each in (linecache, traceback))\n"
        "async def fail(): raise ValueError('as ever')\n"
        "try: asyncio.run(fail())\n"
        "except ValueError as error:\n"
        "    logging.basicConfig(stream=sys.stdout)\n"
        "    logging.error('it failed', exc_info=error)\n"
        "    print(traceback.format_exc())\n"
        "assert sys.modules['traceback'].__file__ and linecache.getline(asyncio.__file__, 1)\n"
    )
    told = run(script)
    assert told.count("ValueError: as ever") == 2
    assert told.count('File "<string>"') >= 2


def test_a_module_that_cannot_be_loaded_says_so_each_time() -> None:
    script = """
from linkerd2_py.proxy.stand_ins.lazy import on_demand
on_demand("no_such_module")
import no_such_module
for _ in range(2):
    try:
        no_such_module.anything
    except ModuleNotFoundError as error:
        print(error)
"""
    assert run(script).splitlines() == ["No module named 'no_such_module'"] * 2
