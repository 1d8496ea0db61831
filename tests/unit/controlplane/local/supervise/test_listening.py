"""Where a program listens, as /proc has it."""

import socket
import subprocess
import sys

from linkerd2_py.controlplane.local.supervise.listening import listening

# Two listeners, one of them made by a child in a session that the parent leads.
PARENT = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
subprocess.run([sys.executable, "-S", "-c", sys.argv[1]])
"""
CHILD = """
import socket, sys
listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
connected = socket.create_connection(listener.getsockname()[:2])
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_the_listeners_of_a_whole_session_and_of_no_other() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)),
        subprocess.Popen(
            [sys.executable, "-S", "-c", PARENT, CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        ) as program,
    ):
        assert program.stdout is not None
        first, second = program.stdout.readline().strip(), program.stdout.readline().strip()
        found = listening(program.pid)
        program.communicate()
    assert found == [f"127.0.0.1:{first}", f"[::1]:{second}"]


def test_what_has_ended_listens_nowhere() -> None:
    with subprocess.Popen(["true"], start_new_session=True) as program:
        program.wait()
        assert listening(program.pid) == []
