"""Out of descriptors, for real, in a process of its own: shed, do not spin, recover."""

import json
import subprocess
import sys
import textwrap

from tests.support.wait import patience

PROGRAM = textwrap.dedent(
    """
    import json, os, resource, socket, sys
    from linkerd2_py._ext.io.address import Address
    from linkerd2_py._ext.io.listener import Listener
    from linkerd2_py._ext.io.loop import Loop
    from linkerd2_py._ext.io.testing import AcceptWith, EchoSession, RecorderSession, connect_to

    loop = Loop()
    accepting = AcceptWith(RecorderSession)
    listener = Listener(loop, ("127.0.0.1", 0), accepting)
    reports = []
    listener.on_exhausted = lambda which: reports.append(which.exhausted)
    address = (listener.address.host, listener.address.port)

    # The clients live in the same process: make their descriptors first, then leave room for three more.
    clients = [socket.socket() for _ in range(20)]
    used = len(os.listdir("/proc/self/fd")) - 1
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    for client in clients:
        client.settimeout(5)
        client.connect(address)

    def shed_or_taken():
        return listener.shed + len(accepting.sessions) == len(clients)

    assert loop.run_until(shed_or_taken), (listener.shed, len(accepting.sessions))
    taken = len(accepting.sessions)

    ends = []
    for client in clients:
        client.settimeout(0.001)
        try:
            ends.append("fin" if client.recv(1) == b"" else "data")
        except ConnectionResetError:
            ends.append("reset")
        except TimeoutError:
            ends.append("open")

    # A connect of our own has no descriptor either.
    session = RecorderSession()
    connect_to(loop, listener.address, session)
    assert loop.run_until(lambda: session.events)

    turns = loop.stats()["turns"]
    loop.run_until(lambda: False, 0.3)
    turns = loop.stats()["turns"] - turns

    # Room again: the next connection is accepted after the back-off at the latest.
    for client in clients[:10]:
        client.close()
    for held in accepting.sessions:
        if held.attached:
            held.abort()
    late = socket.create_connection(address)
    assert loop.run_until(lambda: len(accepting.sessions) > taken, 5)
    late.sendall(b"hello")
    assert loop.run_until(lambda: accepting.sessions[-1].received == b"hello")
    print(json.dumps({
        "taken": taken, "shed": listener.shed, "ends": ends, "reports": reports, "turns": turns,
        "exhausted": listener.exhausted, "connect": session.events,
    }))
    loop.close()
    """
)


def test_connections_without_a_descriptor_are_reset_and_accepting_recovers() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        timeout=50 * patience(),
    )
    assert run.returncode == 0, run.stderr
    story = json.loads(run.stdout)
    assert 0 < story["taken"] <= 3
    assert story["shed"] == 20 - story["taken"]
    assert story["ends"].count("reset") == story["shed"]
    assert story["ends"].count("open") == story["taken"]
    assert story["reports"] == [1]
    assert story["connect"] == [["connect_failed", "no_fds", 24]]
    assert story["turns"] < 20
