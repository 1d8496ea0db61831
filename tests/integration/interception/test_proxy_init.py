"""proxy-init and network-validator against the kernel, in namespaces of their own, for both backends of
iptables.
"""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.netns import as_user, inside, namespace, sh
from tests.support.wait import patience

PROXY_UID = 2102
PORTS = ("-p", "4143", "-o", "4140", "--proxy-uid", str(PROXY_UID))
PROGRAM = (sys.executable, "-m", "linkerd2_py.proxy.pod.init")
VALIDATOR = (sys.executable, "-m", "linkerd2_py.proxy.pod.validator")
FOREIGN = "-A OUTPUT -p tcp -m tcp --dport 9 -j ACCEPT"


@pytest.fixture(params=["nft", "legacy"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def netns() -> Iterator[str]:
    """A pod's namespace: an address of each family, and a way out that nobody answers at."""
    commands = (
        "link add eth0 type veth peer name nobody",
        "addr add 10.77.0.2/24 dev eth0",
        "addr add fd77::2/64 dev eth0 nodad",
        "link set nobody up",
        "link set eth0 up",
        "route add default via 10.77.0.1",
        "route add default via fd77::1 dev eth0",
    )
    with namespace(*commands) as name:
        yield name


def _init(netns: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return sh(*PROGRAM, "--netns", netns, *words, check=check)


def _saved(netns: str, mode: str) -> dict[str, list[str]]:
    """Rules and chains of table nat by family, without counters and dates."""
    found = {}
    for family in ("iptables", "ip6tables"):
        text = inside(netns, f"{family}-{mode}-save", "-t", "nat").stdout
        lines = (re.sub(r" \[\d+:\d+\]", "", line) for line in text.splitlines())
        found[family] = [line for line in lines if not line.startswith(("#", "COMMIT", "*"))]
    return found


def test_rules_are_there_once_however_often_it_runs(netns: str, mode: str) -> None:
    flags = (*PORTS, "--iptables-mode", mode, "--inbound-ports-to-ignore", "4190,4191")
    _init(netns, *flags)
    once = _saved(netns, mode)
    for rules in once.values():
        assert sum(rule.startswith("-A") for rule in rules) == 7
    _init(netns, *flags)
    _init(netns, *flags, "-w")
    assert _saved(netns, mode) == once


def test_the_last_run_counts(netns: str, mode: str) -> None:
    _init(netns, *PORTS, "--iptables-mode", mode, "--outbound-ports-to-ignore", "25")
    _init(netns, "-p", "1111", "-o", "2222", "--iptables-mode", mode)
    for rules in _saved(netns, mode).values():
        text = "\n".join(rules)
        assert "--to-ports 1111" in text
        assert "--to-ports 2222" in text
        assert not re.search(r"4143|4140|2102|dports 25", text)
        assert text.count("-j PROXY_INIT_OUTPUT") == text.count("-j PROXY_INIT_REDIRECT") == 1


def test_rules_of_others_survive_and_cleanup_leaves_only_them(netns: str, mode: str) -> None:
    for family in ("iptables", "ip6tables"):
        inside(netns, f"{family}-{mode}", "-t", "nat", *FOREIGN.split())
    before = _saved(netns, mode)
    _init(netns, *PORTS, "--iptables-mode", mode)
    for rules in _saved(netns, mode).values():
        assert FOREIGN in rules
    _init(netns, "--cleanup", "--iptables-mode", mode)
    assert _saved(netns, mode) == before
    _init(netns, "--cleanup", "--iptables-mode", mode)
    assert _saved(netns, mode) == before


def test_what_is_simulated_is_what_is_loaded(netns: str, mode: str) -> None:
    flags = (*PORTS, "--iptables-mode", mode, "--subnets-to-ignore", "172.17.0.0/16")
    text = _init(netns, *flags, "--simulate").stdout
    assert all(
        not rules or "PROXY_INIT" not in "".join(rules) for rules in _saved(netns, mode).values()
    )
    _init(netns, *flags)
    loaded = _saved(netns, mode)
    _init(netns, "--cleanup", "--iptables-mode", mode)
    four, six = text.split(f"# ip6tables-{mode}-restore --noflush\n")
    for program, part in (("iptables", four), ("ip6tables", six)):
        words = ("ip", "netns", "exec", netns, f"{program}-{mode}-restore", "--noflush")
        sh(*words, text=part)
    assert _saved(netns, mode) == loaded


def test_one_family_alone_changes_nothing(netns: str, mode: str, tmp_path: Path) -> None:
    """When IPv6 is refused, IPv4 is as it was: without rules of ours, or with those of an earlier run."""
    for family in ("iptables", "ip6tables"):
        for end in ("save", "restore"):
            program = tmp_path / f"{family}-{mode}-{end}"
            program.write_text(f'#!/bin/sh\nexec {family}-{mode}-{end} "$@"\n')
            program.chmod(0o755)
    base = ("--firewall-bin-path", str(tmp_path / f"iptables-{mode}"))
    broken = tmp_path / f"ip6tables-{mode}-restore"
    works = broken.read_text()
    refuses = "#!/bin/sh\ncat >/dev/null; echo 'ip6tables: no such table' >&2; exit 1\n"
    broken.write_text(refuses)
    done = _init(netns, *PORTS, *base, check=False)
    assert done.returncode == 1
    assert "ip6tables: no such table; --ipv6=false leaves IPv6 alone" in done.stderr
    assert all("PROXY_INIT" not in "".join(rules) for rules in _saved(netns, mode).values())
    broken.write_text(works)
    _init(netns, *PORTS, *base)
    before = _saved(netns, mode)
    broken.write_text(refuses)
    assert _init(netns, "-p", "1", "-o", "2", *base, check=False).returncode == 1
    assert _saved(netns, mode) == before
    _init(netns, "-p", "1", "-o", "2", *base, "--ipv6=false")
    assert "--to-ports 1" in "".join(_saved(netns, mode)["iptables"])


def test_a_family_that_cannot_be_put_back_is_told_with_the_first_reason(
    netns: str, tmp_path: Path
) -> None:
    loads = tmp_path / "loads"
    scripts = {
        "iptables-nft-save": "exec iptables-nft-save -t nat",
        "ip6tables-nft-save": "exec ip6tables-nft-save -t nat",
        # Takes the rules once, and nothing after.
        "iptables-nft-restore": f"[ -e {loads} ] && {{ echo 'out of order' >&2; exit 5; }}; touch {loads}; exec iptables-nft-restore --noflush",
        "ip6tables-nft-restore": "cat >/dev/null; echo 'no such table' >&2; exit 1",
    }
    for name, script in scripts.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    base = ("--firewall-bin-path", str(tmp_path / "iptables-nft"))
    done = _init(netns, *PORTS, *base, check=False)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "no such table; --ipv6=false leaves IPv6 alone; IPv4 could not be put back" in last
    assert "out of order" in last


def test_without_rights_it_is_one_line_and_no_rule(netns: str, mode: str) -> None:
    words = as_user(65534, [*PROGRAM, *PORTS, "--iptables-mode", mode])
    done = inside(netns, *words, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "the capabilities NET_ADMIN and NET_RAW are needed" in done.stderr
    assert all("PROXY_INIT" not in "".join(rules) for rules in _saved(netns, mode).values())


def test_a_namespace_is_given_by_name_or_by_path(netns: str) -> None:
    _init(f"/run/netns/{netns}", *PORTS, "--iptables-mode", "nft")
    by_path = _saved(netns, "nft")
    _init(netns, "--cleanup", "--iptables-mode", "nft")
    _init(netns, *PORTS, "--iptables-mode", "nft")
    assert _saved(netns, "nft") == by_path


def test_close_wait_is_set_in_the_pod_alone(netns: str) -> None:
    name = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait"
    ours = Path(name).read_text()
    _init(netns, *PORTS, "--timeout-close-wait-secs", "3599")
    assert inside(netns, "cat", name).stdout == "3599\n"
    assert Path(name).read_text() == ours


def test_close_wait_is_put_back_with_the_rules(netns: str, tmp_path: Path) -> None:
    name = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_close_wait"
    before = inside(netns, "cat", name).stdout
    for end, script in (("save", "exec iptables-nft-save -t nat"), ("restore", "exit 1")):
        program = tmp_path / f"iptables-{end}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    base = ("--firewall-bin-path", str(tmp_path / "iptables"), "--ipv6=false")
    done = _init(netns, *PORTS, *base, "--timeout-close-wait-secs", "3598", check=False)
    assert done.returncode == 1
    assert inside(netns, "cat", name).stdout == before


def test_log_lines_can_be_json(netns: str) -> None:
    done = _init(netns, *PORTS, "--log-format", "json", "--log-level", "debug")
    lines = done.stderr.splitlines()
    assert all(line.startswith("{") and line.endswith("}") for line in lines)
    assert any("PROXY_INIT_OUTPUT" in line for line in lines)
    assert _init(netns, *PORTS, "--log-level", "error").stderr == ""
    assert "the proxy's own connections come back to it" in _init(netns, *PORTS[:4]).stderr
    assert "come back to it" not in _init(netns, *PORTS).stderr


# The validator


def _validate(netns: str, *words: str, uid: int = 65534) -> subprocess.CompletedProcess[str]:
    argv = as_user(uid, [*VALIDATOR, "--timeout", "2s", *words])
    return inside(netns, *argv, check=False)


IPV6 = ("--listen-addr", "[::]:4140", "--connect-addr", "[2001:db8::2]:1404")


def test_redirection_is_proved(netns: str, mode: str) -> None:
    _init(netns, *PORTS, "--iptables-mode", mode)
    for words in ((), IPV6):
        done = _validate(netns, *words)
        assert done.returncode == 0, done.stderr
        assert "validated" in done.stderr


@pytest.mark.parametrize("words", [(), IPV6], ids=["IPv4", "IPv6"])
def test_without_rules_it_fails_with_a_reason(netns: str, words: tuple[str, ...]) -> None:
    done = _validate(netns, *words)
    assert done.returncode == 95
    assert done.stderr.count("\n") == 1
    assert "not redirected to the proxy: are proxy-init's rules in this network" in done.stderr


def test_a_namespace_without_a_route_is_told_apart() -> None:
    with namespace() as alone:
        done = _validate(alone)
    assert done.returncode == 95
    assert "Network is unreachable; nothing can be proved without a route" in done.stderr


def test_what_proves_nothing_is_told(netns: str) -> None:
    _init(netns, *PORTS, "--outbound-ports-to-ignore", "1404")
    assert _validate(netns).returncode == 95
    _init(netns, *PORTS)
    exempt = _validate(netns, uid=PROXY_UID)
    assert exempt.returncode == 95
    assert "is this user not the proxy's?" in exempt.stderr


def test_a_port_that_is_taken_is_told(netns: str) -> None:
    _init(netns, *PORTS)
    script = "import socket, sys; s = socket.create_server(('0.0.0.0', 4140)); print(1, flush=True); sys.stdin.read()"
    argv = ["ip", "netns", "exec", netns, sys.executable, "-c", script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        done = _validate(netns)
        holder.communicate()
    assert done.returncode == 95
    assert "cannot listen on 0.0.0.0:4140: Address already in use; stop what listens" in done.stderr


def test_another_server_is_no_proof() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        words = ("--listen-addr", "127.0.0.1:0", "--connect-addr", f"127.0.0.1:{port}")
        with subprocess.Popen([*VALIDATOR, *words], stderr=subprocess.PIPE, text=True) as running:
            peer, _ = other.accept()
            peer.sendall(b"welcome\n")
            peer.close()
            _, err = running.communicate(timeout=20 * patience())
    assert running.returncode == 95
    assert f"somebody else answered for 127.0.0.1:{port}" in err


def test_a_validator_that_is_told_to_stop_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        words = ("--listen-addr", "127.0.0.1:0", "--connect-addr", f"127.0.0.1:{port}")
        with subprocess.Popen([*VALIDATOR, *words], stderr=subprocess.PIPE, text=True) as running:
            silent.accept()[0].close()
            _, err = running.communicate(timeout=20 * patience())
            assert "somebody else" in err
        with subprocess.Popen([*VALIDATOR, *words], stderr=subprocess.PIPE, text=True) as running:
            peer, _ = silent.accept()
            running.send_signal(signal.SIGTERM)
            _, err = running.communicate(timeout=20 * patience())
            peer.close()
    assert running.returncode == 95
    assert err == "linkerd2-py network-validator: ended by SIGTERM\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--timeout", "10"), "must be a number with a unit"),
        (("--listen-addr", "somewhere:1"), "'somewhere' is not an IP address"),
        (("--connect-addr", "10.0.0.1"), "'10.0.0.1' is not host:port"),
        (("--log-level", "loud"), "loud"),
        (("--verbose",), "unrecognized arguments: --verbose"),
    ],
)
def test_wrong_use_of_the_validator_is_one_line(words: tuple[str, ...], reason: str) -> None:
    done = sh(*VALIDATOR, *words, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("linkerd2-py network-validator: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_both_are_commands_of_the_program() -> None:
    entry = (sys.executable, "-m", "linkerd2_py.cli.main")
    for command in ("proxy-init", "network-validator"):
        done = sh(*entry, command, "--help")
        assert done.stdout.startswith(f"usage: linkerd2-py {command} ")
        assert f"  {command} " in sh(*entry, "--help").stdout
