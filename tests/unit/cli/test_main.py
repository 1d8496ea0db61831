"""The command as a whole: statuses, one-line errors, clean stdout, quick starts."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import tomllib
from pathlib import Path

import pexpect
import pytest

from linkerd2_py import __version__
from linkerd2_py.cli import PLUGIN, PROGRAM
from linkerd2_py.cli.app import COMMANDS
from linkerd2_py.cli.main import run
from linkerd2_py.controlplane.local.state import state_dir
from tests.support.wait import patience

ROOT = Path(__file__).resolve().parents[3]
ENTRY = [sys.executable, "-m", "linkerd2_py.cli.main"]
LONG = """
import sys
from linkerd2_py.base.streams import run_program
run_program("x", lambda: sys.stdout.write("x" * 1_000_000) and 0) and sys.exit(141)
"""
HEAVY = (
    *("grpc", "httpx2", "starlette", "uvicorn", "yaml", "rich", "websockets", "google.protobuf"),
    "cryptography",
)


@pytest.fixture(autouse=True)
def _no_mesh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LINKERD2_PY_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("LINKERD2_PY_API_ADDR", "KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("bogus", "No such command 'bogus'."),
        ("--bogus", "No such option: --bogus"),
        ("stat", "no resource is given"),
        ("stat foo", "unknown resource type 'foo'"),
        ("stat deploy -o yaml", "-o: 'yaml' is not an output format"),
        ("stat deploy -t 4.9s", "-t: 4.9s is too short: it must be at least 5s"),
        ("stat deploy -t x", "-t: 'x' is not a duration"),
        ("stat deploy --to a --from b", "--to and --from exclude each other"),
        ("stat deploy/web -A", "by name across all namespaces"),
        ("edges", "Missing argument 'TYPE'"),
        ("edges foo", "unknown resource type 'foo'"),
        ("edges svc", "resource type is not supported: service; use deploy or po"),
        ("edges all", "resource type is not supported: all"),
        ("edges deploy/web", "for a specific resource name; remove 'web'"),
        ("edges deploy -o yaml", "-o: 'yaml'"),
        ("identity deploy/web", "'deploy/web' is not a pod: write NAME or po/NAME"),
        ("identity po/", "'po/' is not a pod"),
        ("identity x/web", "unknown resource type 'x'"),
        ("identity -o json", "-o: 'json'"),
        ("get secrets", "unknown resource type 'secrets'"),
        (
            "get au",
            "'authority' cannot be listed: use deploy, po, svc, what else owns pods, or all",
        ),
        ("get", "Missing argument 'RESOURCE"),
        ("get svc,po web", "names cannot be given for several types: svc,po web"),
        ("get all web", "names cannot be given for several types"),
        ("get po/web-0,svc", "names cannot be given for several types"),
        ("get po web-0 -A", "by name across all namespaces"),
        ("get po -l app=(", "-l: 'app=(' is not a label selector"),
        ("get pods -o yaml", "-o: 'yaml'"),
        ("completion tcsh", "no completion for 'tcsh'"),
        ("check --wait soon", "--wait: 'soon'"),
        ("check -o yaml", "-o: 'yaml'"),
        ("check --proxy --crds", "--crds and --proxy exclude each other"),
        (
            "diagnostics",
            "Missing command: linkerd2-py diagnostics takes proxy-metrics, controller-metrics, ",
        ),
        (
            "-n x",
            "Missing command: linkerd2-py takes authz, check, ",
        ),
        ("statt", "No such command 'statt'. Did you mean 'stat'?"),
        ("authz", "Missing argument 'RESOURCE"),
        ("authz svc/web", "authz needs one resource that has pods, e.g. deploy/web"),
        ("authz deploy/a deploy/b", "authz needs one resource that has pods"),
        ("authz ns/x", "authz needs one resource that has pods"),
        ("authz deploy/web -o yaml", "-o: 'yaml'"),
        ("version --client --proxy", "--client asks nobody, and --proxy asks the server"),
        ("diagnostics proxy-metrics svc/web", "needs one pod, deployment or namespace"),
        ("diagnostics endpoints x -o yaml", "-o: 'yaml'"),
        ("diagnostics profile a:b --addr h:1", "'a:b' is not an authority: write NAME:PORT"),
        ("diagnostics policy deploy/web 80", "'deploy/web' has no policy of its own: use po/NAME"),
        ("diagnostics policy po 80", "'po' has no policy of its own"),
        ("diagnostics policy po/web 0", "0 is not a port: write one of 1 to 65535"),
        ("diagnostics policy po/web 65536", "65536 is not a port"),
        ("diagnostics policy web-0 80", "'web-0' is no resource: write po/web-0 or svc/web-0\n"),
        ("get pods --as-group people", "--as-group needs --as"),
        (
            "--kubeconfig config get pods --api-addr h:1",
            "--api-addr asks one address, and --kubeconfig a cluster: use one of them",
        ),
        ("check --api-addr h:1 -L x", "--api-addr asks one address, and --linkerd-namespace a"),
        (
            "diagnostics endpoints web --addr h:1 --context x",
            "--addr asks one address, and --context a cluster: use one of them",
        ),
        ("controller identity --metrics-addr x", "--admin-addr or --metrics-addr: "),
        ("controller destination --admin-addr x", "--metrics-addr or --admin-addr: "),
        ("controller injector --admin-addr x", "--metrics-addr or --admin-addr: "),
        ("b\x1b[2Jgus", "No such command 'b\\x1b[2Jgus'."),
        ("diagnostics policy po/web x", "Invalid value for 'PORT'"),
        ("diagnostics policy po/web 80 -o table", "-o: 'table'"),
        ("diagnostics endpoints web --addr h:1 -n a/b", "'a/b' is not a valid namespace"),
        (
            "local",
            "Missing command: linkerd2-py local takes up, down, status, logs, exec; `linkerd2",
        ),
        ("local logs -c sidecar", "'sidecar' is not a container"),
        ("local up --wait x", "--wait: 'x'"),
        ("local up --identity-issuance-lifetime x", "--identity-issuance-lifetime: 'x' is not a"),
        ("local up --identity-issuance-lifetime 9s", "9s is not between 10s and 8760h (a year)"),
        ("local up --identity-issuance-lifetime 8761h", "8761h is not between"),
        (
            "local up --identity-issuer-key-file k --identity-trust-anchors-file a",
            "--identity-issuer-certificate-file is missing: give all of --identity-trust-anchors-file,",
        ),
        ("local status -o yaml", "-o: 'yaml'"),
    ],
)
def test_bad_usage_is_one_line_on_stderr(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(words.split())
    captured = capsys.readouterr()
    assert status == 2
    assert captured.out == ""
    assert captured.err.startswith("linkerd2-py: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err


@pytest.mark.parametrize("address", ["127.0.0.1:0", "http://127.0.0.1:65536", "web:99999"])
def test_an_address_with_a_port_that_is_none_is_refused(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["get", "pods", "--api-addr", address]) == 2
    assert "its port is not one of 1 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("stat deploy", "no linkerd2-py control plane found: run `linkerd2-py local up`"),
        ("get pods", "no linkerd2-py control plane found"),
        ("edges deploy", "no linkerd2-py control plane found"),
        ("identity web-0", "no linkerd2-py control plane found"),
        ("diagnostics endpoints web", "no linkerd2-py control plane found"),
        ("check --crds", "--crds is about a cluster, and none is asked here"),
        ("diagnostics profile web", "no linkerd2-py control plane found"),
        ("diagnostics endpoints web --api-addr 127.0.0.1:1", "--addr says where proxies ask"),
        ("diagnostics endpoints web --addr 127.0.0.1:1", "cannot reach the proxy API at 127"),
        (
            "diagnostics endpoints web --addr 127.0.0.1:1 --destination-pod x",
            "--destination-pod is one of a cluster, and none is asked here",
        ),
        ("--api-addr 127.0.0.1:1 stat deploy", "cannot reach the control plane at http://127"),
        ("--api-addr http://[ stat deploy", "http://["),
        ("local status", "no local mesh is running"),
        ("local logs web-0", "no log of web-0; there are: none"),
        ("local up -f /nowhere.yaml", "/nowhere.yaml: cannot be read: No such file"),
    ],
)
def test_failures_are_one_line_on_stderr(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(words.split())
    captured = capsys.readouterr()
    assert (status, captured.out, captured.err.count("\n")) == (1, "", 1)
    assert message in captured.err


@pytest.mark.parametrize(
    "words", ["local up", "local down", "local status", "local logs", "get pods", "check"]
)
def test_a_user_without_a_home_is_told_what_to_set(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As containers run programs: under a number that is in no list of users."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("LINKERD2_PY_STATE_DIR")
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(state_dir, "SYSTEM_STATE_DIR", Path("/nowhere"))
    assert run(words.split()) == 1
    told = "".join(capsys.readouterr())
    assert "this user has no home folder: choose one with $LINKERD2_PY_STATE_DIR" in told


def test_down_without_a_mesh_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["local", "down"]) == 0
    assert capsys.readouterr().out == "no local mesh is running\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-n", "any", "version"]) == 0
    expected = f"Client version: {__version__}\nServer version: unavailable\n"
    assert capsys.readouterr().out == expected
    assert run(["version", "--client", "--short"]) == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_no_words_print_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    out = capsys.readouterr().out
    assert run(["--help"]) == run(["-h"]) == 0
    assert capsys.readouterr().out == out * 2
    # The long way there, too.
    assert run(["--verbose", "-h"]) == 0
    assert capsys.readouterr().out == out


def test_the_help_names_every_command_and_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    run([])
    out = capsys.readouterr().out
    listed = set(re.findall(r"^  ([a-z]\S*)", out, re.MULTILINE))
    assert listed == {*COMMANDS, "proxy", "proxy-identity", "proxy-init", "network-validator"}
    assert max(map(len, out.splitlines())) <= 80


COMMAND_LINES = (
    *(name for name in COMMANDS if name not in {"diagnostics", "local"}),
    *("local", "local up", "local down", "local status", "local logs", "local exec"),
    *("diagnostics", "diagnostics proxy-metrics", "diagnostics endpoints"),
)


@pytest.mark.parametrize("words", COMMAND_LINES)
def test_help_speaks_of_no_types_of_python(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*words.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: linkerd2-py {words} ")
    assert not re.search(r"<(str|int|path|list|file)|\[\[|\{|TEXT|completion for the current", out)
    # Nothing is cut off.
    assert "..." not in out.partition("\n")[2]


def test_namespaces_are_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LINKERD2_PY_API_ADDR", "127.0.0.1:1")
    assert run(["stat", "deploy", "-n", "a/b"]) == 2
    assert "'a/b' is not a valid namespace" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_command(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell]) == 0
    out = capsys.readouterr().out
    assert "linkerd2-py" in out
    assert "_LINKERD2_PY_COMPLETE" in out


def test_bash_completes_commands(tmp_path: Path) -> None:
    command = tmp_path / "linkerd2-py"
    command.write_text(f'#!/bin/sh\nexec {" ".join(ENTRY)} "$@"\n')
    command.chmod(0o755)
    script = (
        "source <(linkerd2-py completion bash)\n"
        "COMP_WORDS=(linkerd2-py ed) COMP_CWORD=1\n"
        "_linkerd2_py_completion linkerd2-py st linkerd2-py\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    argv = ["bash", "-c", script]
    done = subprocess.run(
        argv, capture_output=True, text=True, env=env, timeout=30 * patience(), check=False
    )
    assert done.stdout.split() == ["edges"], done.stderr


# What Python itself, `-c` and the environment have loaded is not counted; all of this is ours or costs next
# to nothing.
QUICK_MODULES = {
    *("__future__", "errno", "linkerd2_py", "linkerd2_py.base", "linkerd2_py.base.streams"),
    *("linkerd2_py.cli", "linkerd2_py.cli.main", "linkerd2_py.cli.quick"),
}


@pytest.mark.parametrize(
    "words", ["", "--help", "-h", "version --client", "version --client --short", "completion zsh"]
)
def test_quick_commands_import_nothing_but_themselves(words: str) -> None:
    """Each module would be waited for: the whole takes less than twice as long as starting Python."""
    code = (
        "import sys; before = {*sys.modules}; from linkerd2_py.cli.main import run; run(sys.argv[1:]);"
        "sys.stderr.write(' '.join({*sys.modules} - before))"
    )
    argv = [sys.executable, "-c", code, *words.split()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30 * patience(), check=True)
    assert {*done.stderr.split()} <= QUICK_MODULES
    assert done.stdout


@pytest.mark.parametrize("words", ["stat --help", "local --help", "local up --help", "get --help"])
def test_help_imports_nothing_heavy(words: str) -> None:
    code = (
        "import sys; from linkerd2_py.cli.main import run; run(sys.argv[2:]);"
        "found = [m for m in sys.argv[1].split(',') if m in sys.modules];"
        "sys.stderr.write(','.join(found))"
    )
    argv = [sys.executable, "-c", code, ",".join(HEAVY), *words.split()]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30 * patience(), check=True)
    assert done.stderr == ""


def test_the_sidecar_starts_without_the_command_lines_imports() -> None:
    code = (
        "import sys; from linkerd2_py.cli.main import main\n"
        "sys.argv = ['linkerd2-py', 'proxy', '--help']\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, 'typer' in sys.modules)"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30 * patience(), check=True)
    assert "usage: linkerd2-py proxy" in done.stdout
    assert done.stdout.endswith("0 False\n")


def test_a_misconfigured_sidecar_ends_with_its_own_status() -> None:
    env = os.environ | {"LINKERD2_PROXY_BOGUS": "1"}
    argv = [*ENTRY, "proxy"]
    done = subprocess.run(
        argv, capture_output=True, text=True, env=env, timeout=30 * patience(), check=False
    )
    assert done.returncode == 64
    assert "LINKERD2_PROXY_BOGUS" in done.stderr


def test_marks_do_not_crash_without_utf8() -> None:
    env = os.environ | {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [*ENTRY, "check"], capture_output=True, env=env, timeout=30 * patience(), check=False
    )
    assert done.returncode == 1
    assert "Status check results are ×" in done.stdout.decode("utf-8")


PROGRAMS = (
    [*ENTRY, "--help"],
    [*ENTRY, "stat", "--help"],
    [*ENTRY, "completion", "bash"],
    [*ENTRY, "version"],
    [*ENTRY, "check"],
    [*ENTRY, "local", "down"],
    [*ENTRY, "proxy", "--help"],
    [*ENTRY, "proxy-identity", "--help"],
    [*ENTRY, "proxy-init", "--help"],
    [*ENTRY, "network-validator", "--help"],
    [sys.executable, "-m", "linkerd2_py.proxy", "--help"],
    [sys.executable, "-m", "linkerd2_py.proxy.pod.identity", "--help"],
    [sys.executable, "-m", "linkerd2_py.proxy.pod.init", "--help"],
    [sys.executable, "-m", "linkerd2_py.proxy.pod.validator", "--help"],
)


def _run_in_shell(redirected: str, argv: list[str]) -> subprocess.CompletedProcess[str]:
    script = f'set -o pipefail; "$@" {redirected}'
    words = ["bash", "-c", script, "bash", *argv]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=60 * patience(), check=False
    )


@pytest.mark.parametrize("argv", PROGRAMS, ids=lambda argv: " ".join(argv[2:]))
def test_output_that_nobody_takes_is_one_line_or_none(argv: list[str]) -> None:
    """A full disk and a closed descriptor are failures; a reader that has seen enough is none."""
    for redirected, reason in (
        (">/dev/full", "No space left on device"),
        (">&-", "Bad file descriptor"),
    ):
        done = _run_in_shell(redirected, argv)
        assert done.returncode == 1
        assert done.stderr.endswith(f": cannot write to standard output: {reason}\n")
        assert (done.stderr.count("\n"), done.stdout) == (1, "")
    done = _run_in_shell("| true", argv)
    assert done.stderr == ""


def test_a_reader_that_left_ends_a_command_as_sigpipe_would() -> None:
    """Without a word, though more is written than a pipe takes."""
    done = _run_in_shell("| head -c 1; echo ${PIPESTATUS[0]}", [sys.executable, "-c", LONG])
    assert done.stderr == ""
    assert done.stdout == "x141\n"


def test_an_interrupt_is_no_failure_of_the_program() -> None:
    """Whenever it comes; most of the time until the first line is spent on imports."""
    code = (
        "import signal, sys; from linkerd2_py.base.streams import run_program;"
        "sys.exit(run_program('x', lambda: signal.raise_signal(signal.SIGINT) or 0))"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, capture_output=True, timeout=60 * patience(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_output_is_waited_for_where_another_program_made_it_not_wait() -> None:
    """A terminal or a pipe is often shared with one that did."""
    read, write = os.pipe()
    os.set_blocking(write, False)
    argv = [sys.executable, "-c", LONG]
    with (
        os.fdopen(read, "rb") as reader,
        subprocess.Popen(argv, stdout=write, stderr=subprocess.PIPE, text=True) as program,
    ):
        os.close(write)
        # It has written what a pipe holds, and is to go on.
        select.select([reader], [], [])
        count = len(reader.read())
        _, said = program.communicate(timeout=30 * patience())
    assert (count, program.returncode, said) == (1_000_000, 0, "")


def test_messages_that_nobody_takes_are_dropped() -> None:
    for redirected in ("2>/dev/full", "2>&-"):
        done = _run_in_shell(redirected, [*ENTRY, "get", "pods"])
        assert (done.returncode, done.stdout) == (1, "")


def test_a_closed_descriptor_is_no_other_file_s() -> None:
    code = (
        "import os, sys; from linkerd2_py.base.streams import settle; settle();"
        "print(os.open('/etc/passwd', os.O_RDONLY) > 2, file=sys.stderr)"
    )
    done = _run_in_shell("<&- >&-", [sys.executable, "-c", code])
    assert done.stderr == "True\n"


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_on_a_terminal_unless_refused(no_color: str, coloured: bool) -> None:
    env = os.environ | {"NO_COLOR": no_color, "TERM": "xterm"}
    child = pexpect.spawn(
        ENTRY[0], [*ENTRY[1:], "check"], env=env, encoding="utf-8", timeout=30 * patience()
    )
    child.expect(pexpect.EOF)
    child.close()
    assert ("\x1b[31m×\x1b[0m" in child.before) == coloured
    assert "×" in child.before


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder where programs are."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(path: Path, name: str, text: str) -> None:
    """A script of that name."""
    (path / name).write_text(f"#!/bin/sh\n{text}\n")
    (path / name).chmod(0o755)


def test_a_program_on_the_path_extends_the_command_line(path: Path) -> None:
    program(path, "linkerd-buoyant", 'read x; echo "$x: $@"; exit 7')
    words = ["--context", "far", "buoyant", "check", "--flag=1", "a b"]
    done = subprocess.run(
        [*ENTRY, *words], input="asked\n", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (7, "asked: check --flag=1 a b --context far\n")


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("word", ["buoyant", "../x", "check"])
def test_without_one_a_word_is_as_unknown_as_ever(
    word: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(path, "linkerd-check", "exit 7")
    assert run([word, "--help"]) == (0 if word == "check" else 2)
    assert ("No such command" in capsys.readouterr().err) == (word != "check")


def linked(folder: Path, name: str) -> list[str]:
    """The program under another name, as a wheel installs it."""
    text = "from linkerd2_py.cli.main import main; main()"
    (folder / name).write_text(f"#!{sys.executable}\n{text}\n")
    return [sys.executable, str(folder / name)]


def test_as_an_extension_it_says_what_it_is(tmp_path: Path) -> None:
    argv = [*linked(tmp_path, "linkerd-py"), "_extension-metadata"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    # The last is ours: by it the command knows itself among the extensions.
    assert done.stdout == '{"name": "linkerd-py", "checks": "always", "program": "linkerd2-py"}\n'


def test_a_wheel_brings_the_name_that_kubectl_looks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"][PLUGIN] == project["scripts"][PROGRAM]


@pytest.mark.parametrize("words", ["", "get -h", "diagnostics policy --help"])
def test_kubectl_calls_it_by_its_own_name(tmp_path: Path, words: str) -> None:
    argv = [*linked(tmp_path, "kubectl-linkerd2_py"), *words.split()]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    command = words.partition(" -")[0]
    usage = f"Usage: kubectl linkerd2-py {command} " if words else "Usage:  kubectl linkerd2-py COM"
    assert usage in done.stdout
