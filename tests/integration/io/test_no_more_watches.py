"""The kernel watches no more descriptors for this user (fs.epoll.max_user_watches), or has no memory: one
connection ends, everybody else goes on.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.wait import patience

# Watching a TCP socket fails as often as `failures` says, with this error.
SHIM = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
int failures;
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int kind;
    socklen_t size = sizeof kind;
    int (*real)(int, int, int, struct epoll_event *) = dlsym(RTLD_NEXT, "epoll_ctl");
    if (op == EPOLL_CTL_ADD && failures > 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &size) == 0) {
        failures--;
        errno = ERROR;
        return -1;
    }
    return real(epfd, op, fd, event);
}
"""

PROGRAM = textwrap.dedent(
    """
    import ctypes, os, socket, sys, threading
    from linkerd2_py._ext.core.limits import Limits
    from linkerd2_py._ext.io.address import Address
    from linkerd2_py._ext.io.loop import Loop
    from linkerd2_py._ext.metrics.registry import Registry
    from linkerd2_py._ext.pool.settings import PoolSettings
    from tests.support.engine import Engine
    from linkerd2_py._ext.route.endpoint_spec import EndpointSpec

    shim = ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOLOAD | os.RTLD_NOW)
    failures = ctypes.c_int.in_dll(shim, "failures")
    loop = Loop()
    errors = []
    loop.on_error = lambda error, actor: errors.append(error)
    made = Engine(loop, Registry(), PoolSettings(limits=Limits()))

    def answer(server):
        while True:
            sock, _ = server.accept()
            threading.Thread(target=serve, args=(sock,), daemon=True).start()

    def serve(sock):
        while sock.recv(65536):
            sock.sendall(b"HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok")

    def serving(server):
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        return server.getsockname()

    def ask(address):
        with socket.create_connection(address) as sock:
            sock.sendall(b"GET / HTTP/1.1\\r\\nHost: svc.test\\r\\n\\r\\n")
            sock.setblocking(False)
            found = []
            def answered():
                try:
                    found.append(sock.recv(65536))
                except BlockingIOError:
                    return False
                except ConnectionError:
                    found.append(b"reset")
                return True
            assert loop.run_until(answered, 10), "no answer"
            return found[0][:12]

    def forward(to, **options):
        target, address = made.outbound()
        target.forward(EndpointSpec(Address(*to), **options))
        return target, address

    app = serving(socket.create_server(("127.0.0.1", 0)))
    # A connection that is accepted: reset, and the listener tries again.
    _target, address = forward(app)
    assert ask(address) == b"HTTP/1.1 200"
    failures.value = 1
    assert ask(address) == b"reset"
    assert ask(address) == b"HTTP/1.1 200"
    assert not errors, errors

    # An endpoint that is dialled, in each protocol: that request fails, the next one is served.
    for options in ({}, {"h2": True}):
        _target, address = forward(made.inbound(app), **options)
        with socket.create_connection(address) as sock:
            loop.run_until(lambda: False, 0.1)
            failures.value = 1
            sock.sendall(b"GET / HTTP/1.1\\r\\nHost: svc.test\\r\\n\\r\\n")
            assert loop.run_until(lambda: failures.value == 0, 10)
        for _ in range(3):
            assert ask(address) == b"HTTP/1.1 200"

    # A failing endpoint that is probed: the back-off goes on.
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))
    target, address = made.outbound(dead.getsockname())
    failures.value = 1
    assert loop.run_until(lambda: failures.value == 0, 10)
    dead.listen(16)
    serving(dead)
    assert loop.run_until(lambda: target.endpoints_state()[0]["ready"], 20)
    assert ask(address) == b"HTTP/1.1 200"
    assert not errors, errors
    os._exit(0)
    """
)


@pytest.mark.parametrize("error", ["ENOSPC", "ENOMEM"])
def test_one_connection_ends_and_everybody_else_goes_on(tmp_path: Path, error: str) -> None:
    shim = tmp_path / "shim.so"
    words = ["cc", "-shared", "-fPIC", f"-DERROR={error}", "-x", "c", "-", "-o", str(shim), "-ldl"]
    subprocess.run(words, input=SHIM.encode(), check=True)
    preloaded = ":".join(filter(None, [os.environ.get("LD_PRELOAD"), str(shim)]))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(shim)],
        env={**os.environ, "LD_PRELOAD": preloaded, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120 * patience(),
        check=False,
    )
    assert done.returncode == 0, done.stderr
