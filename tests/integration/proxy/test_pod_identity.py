"""`proxy-identity` as a process: what it leaves behind, what it refuses, and that the proxy
takes its place.
"""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from linkerd2_py.controlplane.identity.csr import check_csr
from tests.support.certificates import IDENTITY, Signer
from tests.support.processes import Child
from tests.support.sidecar import PREFIX, environment
from tests.support.wait import patience

PROGRAM = [sys.executable, "-m", "linkerd2_py.proxy.pod.identity"]
COMMAND = [sys.executable, "-c", "from linkerd2_py.cli.main import main; main()", "proxy-identity"]
OPEN_UMASK = 0


def variables(directory: Path, **changed: str) -> dict[str, str]:
    """Those of a proxy with identity, on free ports."""
    token = directory.parent / "token"
    token.write_text("token")
    return environment(
        **{
            "IDENTITY_DISABLED": "",
            "IDENTITY_SVC_ADDR": "127.0.0.1:1",
            "IDENTITY_TRUST_ANCHORS": Signer().pem.decode(),
            "IDENTITY_DIR": str(directory),
            "IDENTITY_TOKEN_FILE": str(token),
            "IDENTITY_LOCAL_NAME": IDENTITY,
            **changed,
        }
    )


def run_to_end(
    env: dict[str, str], *words: str, program: list[str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """It and what it becomes are expected to end by themselves."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    return subprocess.run(
        [*(program or PROGRAM), *words],
        env={**clean, **env},
        capture_output=True,
        text=True,
        timeout=20 * patience(),
        check=False,
        cwd=cwd,
        umask=OPEN_UMASK,
    )


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "end-entity"
    made.mkdir()
    return made


def files(directory: Path) -> dict[str, bytes]:
    return {entry.name: entry.read_bytes() for entry in directory.iterdir()}


# The proxy refuses this by itself: a way to make it end once it has taken over.
REFUSED_BY_THE_PROXY = {"OUTBOUND_DETECT_TIMEOUT": "soon"}


@pytest.mark.parametrize("program", [PROGRAM, COMMAND])
def test_it_leaves_key_and_request_and_the_proxy_goes_on(
    directory: Path, program: list[str]
) -> None:
    ended = run_to_end(variables(directory, **REFUSED_BY_THE_PROXY), program=program)
    assert ended.returncode == 64
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{PREFIX}OUTBOUND_DETECT_TIMEOUT: ")
    left = files(directory)
    assert set(left) == {"key.p8", "csr.der"}
    check_csr(left["csr.der"], identity=IDENTITY)
    for name in left:
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600


def test_each_start_makes_another_key(directory: Path) -> None:
    env = variables(directory, **REFUSED_BY_THE_PROXY)
    run_to_end(env)
    first = files(directory)
    (directory / "key.p8").chmod(0o644)
    # What a start left that was killed in the middle.
    (directory / "key.p8.new").write_bytes(b"half")
    run_to_end(env)
    second = files(directory)
    assert set(second) == {"key.p8", "csr.der"}
    assert not set(first.values()) & set(second.values())
    assert stat.S_IMODE((directory / "key.p8").stat().st_mode) == 0o600


def test_the_key_is_its_owners_from_the_first_moment(directory: Path) -> None:
    tracing = (
        "import sys, os\n"
        "def hook(event, args):\n"
        "    if event in ('open', 'os.rename') and str(args[0]).startswith(sys.argv[1]):\n"
        "        mask = os.umask(0o077); os.umask(mask)\n"
        "        os.write(2, f'{event} {args[0]} {mask:o}\\n'.encode())\n"
        "sys.addaudithook(hook)\n"
        "from linkerd2_py.proxy.pod.identity import main\n"
        "main([])\n"
    )
    program = [sys.executable, "-c", tracing, str(directory)]
    ended = run_to_end(variables(directory, **REFUSED_BY_THE_PROXY), program=program)
    assert [line for line in ended.stderr.splitlines() if str(directory) in line] == [
        f"{event} {directory}/{name}.new 77"
        for name in ("key.p8", "csr.der")
        for event in ("open", "os.rename")
    ]


def command_line(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")


def test_the_process_becomes_the_proxy_and_keeps_nothing_of_what_made_the_key(
    directory: Path,
) -> None:
    with Child.start(PROGRAM, log=directory.parent / "log", env=variables(directory)) as child:
        child.wait_for_line("listening ")
        assert command_line(child.pid)[1:4] == ["-P", "-m", "linkerd2_py.proxy"]
        try:
            maps = Path(f"/proc/{child.pid}/maps").read_text()
        except PermissionError:
            pytest.skip("only root may look into a process that forbids dumps")
        assert "_ext/engine" in maps
        assert "/cryptography/" not in maps
        # Its own files were made under a mask of their own.
        mask = [line for line in _status(child.pid) if line.startswith("Umask:")]
        assert mask == [f"Umask:\t{_own_mask():04o}"]


def _status(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/status").read_text().splitlines()


def _own_mask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def test_the_proxy_imports_nothing_from_where_it_is_started(directory: Path) -> None:
    # A name that the proxy imports early; what it finds there would end it with another status.
    (directory.parent / "asyncio.py").write_text("raise SystemExit(7)")
    program = [sys.executable, "-P", *PROGRAM[1:]]
    env = variables(directory, **REFUSED_BY_THE_PROXY)
    assert run_to_end(env, program=program, cwd=directory.parent).returncode == 64


def test_without_identity_it_is_the_proxy_at_once(directory: Path) -> None:
    env = variables(directory, IDENTITY_DISABLED="1", IDENTITY_LOCAL_NAME="Bad Name")
    with Child.start(PROGRAM, log=directory.parent / "log", env=env) as child:
        child.wait_for_line("listening ")
        assert command_line(child.pid)[1:4] == ["-P", "-m", "linkerd2_py.proxy"]
    assert files(directory) == {}


def test_arguments_reach_the_proxy(directory: Path) -> None:
    ended = run_to_end(variables(directory), "--port")
    assert ended.returncode == 64
    assert ended.stderr.startswith("linkerd2-py proxy: unexpected argument '--port'")


@pytest.mark.parametrize("program", [PROGRAM, COMMAND])
def test_help(program: list[str]) -> None:
    helped = run_to_end({}, "--help", program=program)
    assert helped.returncode == 0
    assert helped.stdout.startswith("usage: linkerd2-py proxy-identity\n")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("IDENTITY_DIR", ""),
        ("IDENTITY_LOCAL_NAME", ""),
        ("IDENTITY_LOCAL_NAME", "Web"),
        ("IDENTITY_SERVER_ID", "other.ns"),
        ("IDENTITY_SERVER_NAME", "other.ns"),
        ("IDENTITY_TRUST_ANCHORS", ""),
        ("IDENTITY_TRUST_ANCHORS", "/ca.crt"),
    ],
)
def test_bad_input_is_one_line_that_names_the_variable(
    directory: Path, name: str, text: str
) -> None:
    ended = run_to_end(variables(directory, **{name: text}))
    assert ended.returncode == 64
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"{PREFIX}{name}: ")
    assert files(directory) == {}


def test_a_directory_that_is_not_there_is_one_line(directory: Path) -> None:
    nowhere = directory / "nowhere"
    ended = run_to_end(variables(directory, IDENTITY_DIR=str(nowhere)))
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(
        f"{PREFIX}IDENTITY_DIR: cannot write to {nowhere}: No such file or directory"
    )


def test_a_name_that_is_taken_is_one_line_and_leaves_no_key_behind(directory: Path) -> None:
    (directory / "key.p8").mkdir()
    ended = run_to_end(variables(directory))
    assert ended.returncode == 1
    assert "Is a directory" in ended.stderr
    assert [entry.name for entry in directory.iterdir()] == ["key.p8"]
