"""`linkerd-await` beside a real listener: ready at once, ready later, never, and words that it does not know."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import pytest

from linkerd2_py.proxy.pod.await_ready import main


@contextmanager
def answering(*answers: bytes) -> Iterator[int]:
    """A port at which each connection is told the next of these; the last, again and again."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            told = list(answers)
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(1024)
                    connection.sendall(told[0])
                if len(told) > 1:
                    told.pop(0)

        server = threading.Thread(target=serve)
        server.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.join()


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return int(listener.getsockname()[1])


def ended(words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(words, {})
    return status, capsys.readouterr().err


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nready\n"
NOT_YET = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"


@pytest.mark.parametrize("answers", [(OK,), (NOT_YET, NOT_YET, OK), (b"", OK)])
def test_it_ends_once_the_proxy_is_ready(
    answers: tuple[bytes, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(*answers) as port:
        assert ended([f"--port={port}", "--timeout=2m"], capsys) == (0, "")


def test_it_waits_for_one_that_does_not_listen_yet() -> None:
    port = free_port()
    done: list[int] = []
    waiting = threading.Thread(target=lambda: done.append(main(["--port", str(port)], {})))
    waiting.start()
    with closing(socket.create_server(("127.0.0.1", port))) as listener:
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(1024).startswith(b"GET /ready HTTP/1.1\r\n")
            connection.sendall(OK)
        waiting.join()
    assert done == [0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (NOT_YET, "answers 503"),
        (b"HTTP/1.1 2000\r\n", "answers 2000"),
        (b"hello\r\n", "answers, but not in HTTP"),
        (b"HTTP/1.1\r\n", "answers, but not in HTTP"),
        (b"\x1b[2J\r\n", "answers, but not in HTTP"),
    ],
)
def test_it_says_what_it_heard_when_time_is_over(
    answer: bytes, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(answer) as port:
        status, said = ended([f"--port={port}", "--timeout=50ms"], capsys)
    assert (status, said) == (
        1,
        f"linkerd-await: the proxy was not ready in time: 127.0.0.1:{port} {words}\n",
    )


def test_nobody_there_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    status, said = ended([f"--port={free_port()}", "--timeout", "30ms"], capsys)
    assert status == 1
    assert said.endswith("does not answer (Connection refused)\n")


@pytest.mark.parametrize("name", ["LINKERD_AWAIT_DISABLED", "LINKERD_DISABLED"])
def test_a_reason_not_to_wait_is_respected(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"--port={free_port()}"], {name: "no \x1b[2J proxy"}) == 0
    said = capsys.readouterr().err
    assert said == f"linkerd-await: does not wait: {name} is 'no \\x1b[2J proxy'\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--port=0"], "--port: '0' is no port (1 to 65535)"),
        (["--port=65536"], "--port: '65536' is no port (1 to 65535)"),
        (["--port=9999999999"], "--port: '9999999999' is no port (1 to 65535)"),
        (["--port=²"], "--port: '²' is no port (1 to 65535)"),
        (["--port"], "--port needs a value"),
        (["--timeout=soon"], "--timeout: 'soon' is not a duration: write e.g. 30s, 1m or 1h30m"),
        (["sleep", "1"], "unexpected argument 'sleep'; `linkerd-await --help` tells more"),
    ],
)
def test_wrong_words_are_named(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(words, capsys) == (64, f"linkerd-await: {reason}\n")


def test_help_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"], {}) == 0
    assert capsys.readouterr().out.startswith("usage: linkerd-await ")


def test_it_imports_next_to_nothing() -> None:
    source = (
        "import sys; before = set(sys.modules); import linkerd2_py.proxy.pod.await_ready;"
        "print(*sorted({name.partition('.')[0] for name in sys.modules.keys() - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, check=True
    )
    heavy = {"asyncio", "uvloop", "google", "logging", "re", "argparse", "http", "ssl"}
    assert not heavy & set(done.stdout.split())
