"""proxy-init's text for every flag, and its way with wrong ones. Golden files: L5D_UPDATE_GOLDEN=1 writes
them anew.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from linkerd2_py.proxy.pod.init import programs
from linkerd2_py.proxy.pod.init.rules import (
    Ports,
    Redirection,
    cleanup_text,
    missing_rules,
    restored_text,
    rules_text,
)
from tests.support.golden import assert_golden

PORTS = ("-p", "4143", "-o", "4140")
CASES = {
    "ports_only": (),
    "proxy_uid": ("--proxy-uid", "2102"),
    "proxy_gid": ("--proxy-uid", "2102", "--proxy-gid", "2103"),
    "ports_to_redirect": ("-r", "80,8080", "--ports-to-redirect", "9090"),
    "inbound_ports_to_ignore": ("--inbound-ports-to-ignore", "4190,4191,5000-6000"),
    "outbound_ports_to_ignore": ("--outbound-ports-to-ignore", "25, 443 ,6000-6010"),
    "many_ports": ("--inbound-ports-to-ignore", ",".join(f"{n}-{n + 1}" for n in range(1, 30, 3))),
    "subnets_to_ignore": ("--subnets-to-ignore", "172.17.0.0/16,fd00:17::/64,10.1.0.0/24"),
    "ipv4_only": ("--ipv6=false",),
    "wait": ("-w",),
    "legacy": ("--iptables-mode", "legacy"),
    "plain": ("--iptables-mode", "plain", "--use-wait-flag=true"),
    "bin_paths": (
        "--firewall-bin-path", "/sbin/iptables-nft", "--firewall-save-bin-path", "/x/iptables-nft-save",
    ),
    "as_injected": (
        "--proxy-uid", "2102", "--inbound-ports-to-ignore", "4190,4191,4567,4568",
        "--outbound-ports-to-ignore", "4567,4568", "--iptables-mode", "nft", "--log-format", "json",
    ),
}  # fmt: skip


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "linkerd2_py.proxy.pod.init", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", CASES)
def test_simulated_text(name: str) -> None:
    words = CASES[name]
    mode = () if any("mode" in w or "bin" in w for w in words) else ("--iptables-mode", "nft")
    done = _run(*PORTS, *mode, *words, "--simulate")
    assert done.returncode == 0, done.stderr
    assert_golden(f"proxy_init/{name}.txt", done.stdout)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((), "--incoming-proxy-port must be a valid TCP port number"),
        (("-p", "4143"), "--outgoing-proxy-port must be a valid TCP port number"),
        (("-p", "65536", "-o", "1"), "--incoming-proxy-port must be a valid TCP port number"),
        (("-p", "0", "-o", "1"), "--incoming-proxy-port must be a valid TCP port number (1 to"),
        (("-p", "1", "-o", "0"), "--outgoing-proxy-port must be a valid TCP port number (1 to"),
        (("-p", "x"), "'x' is not a whole number"),
        (("-p", "٣", "-o", "1", "--simulate"), "'٣' is not a whole number"),
        ((*PORTS, "--inbound-ports-to-ignore", "80,0"), "'0' is not a port (1 to 65535)"),
        ((*PORTS, "--outbound-ports-to-ignore", "9-8"), "'9-8' is not a rising range of ports"),
        ((*PORTS, "--subnets-to-ignore", "10.0.0.0/33"), "'10.0.0.0/33' is not a valid CIDR"),
        ((*PORTS, "--subnets-to-ignore", "10.0.0.1"), "'10.0.0.1' is not a valid CIDR"),
        ((*PORTS, "--ipv6=perhaps"), "must be true or false, not 'perhaps'"),
        ((*PORTS, "--iptables-mode", "bpf"), "invalid choice: 'bpf'"),
        ((*PORTS, "--no-such-flag"), "unrecognized arguments: --no-such-flag"),
        ((*PORTS, "--incoming", "1"), "unrecognized arguments"),
    ],
)
def test_wrong_use_is_one_line(words: tuple[str, ...], reason: str) -> None:
    done = _run(*words)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("linkerd2-py proxy-init: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_program_that_is_missing_is_named() -> None:
    done = _run(*PORTS, "--firewall-bin-path", "/nowhere/iptables")
    assert done.returncode == 1
    assert done.stderr == (
        "linkerd2-py proxy-init: /nowhere/iptables-restore is not installed:"
        " install the package iptables, or choose another --iptables-mode\n"
    )


def test_a_namespace_that_is_missing_is_named() -> None:
    done = _run(*PORTS, "--netns", "no-such-namespace")
    assert done.returncode == 1
    assert done.stderr == (
        "linkerd2-py proxy-init: /run/netns/no-such-namespace: No such file or directory\n"
    )


SAVED = """\
*nat
:PREROUTING ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:PROXY_INIT_OUTPUT - [0:0]
:PROXY_INIT_REDIRECT - [0:0]
-A PREROUTING -p tcp -m comment --comment "proxy-init/an-older-one/1589795301" -j PROXY_INIT_REDIRECT
-A PREROUTING -p tcp -j SOMEBODY_ELSE
-A OUTPUT -j PROXY_INIT_OUTPUT
-A PROXY_INIT_OUTPUT -o lo -j RETURN
-A PROXY_INIT_REDIRECT -p tcp -j REDIRECT --to-ports 1
COMMIT
"""
WANTED = Redirection(inbound_port=4143, outbound_port=4140)


def test_a_jump_that_is_there_is_not_added_again() -> None:
    text = rules_text(WANTED, family=4, existing=SAVED)
    assert "-A PREROUTING" not in text
    assert "-A OUTPUT" not in text
    assert rules_text(WANTED, family=4, existing="").count("install-proxy-init") == 2


def test_cleanup_takes_what_leads_to_us_and_nothing_else() -> None:
    text = cleanup_text(existing=SAVED)
    assert text.splitlines() == [
        "*nat",
        ":PROXY_INIT_REDIRECT - [0:0]",
        ":PROXY_INIT_OUTPUT - [0:0]",
        '-D PREROUTING -p tcp -m comment --comment "proxy-init/an-older-one/1589795301" -j PROXY_INIT_REDIRECT',
        "-D OUTPUT -j PROXY_INIT_OUTPUT",
        "-X PROXY_INIT_REDIRECT",
        "-X PROXY_INIT_OUTPUT",
        "COMMIT",
    ]
    assert cleanup_text(existing="*nat\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n") == ""


def test_what_was_there_can_be_put_back() -> None:
    lines = restored_text(existing=SAVED).splitlines()
    assert [line for line in lines if line.startswith("-A")] == [
        line for line in SAVED.splitlines() if "PROXY_INIT" in line and line.startswith("-A")
    ]
    assert restored_text(existing="*nat\nCOMMIT\n") == ""


def test_a_match_takes_fifteen_slots() -> None:
    ports = tuple(Ports(n, n) for n in range(1, 17))
    text = rules_text(WANTED._replace(skip_inbound=ports), family=4, existing="")
    counts = [line.split("--dports ")[1].split()[0].count(",") + 1 for line in text.splitlines() if "--dports" in line]  # fmt: skip
    assert counts == [15, 1]


@pytest.mark.parametrize(
    ("saved", "expected"),
    [
        ({}, "legacy"),
        ({("iptables-nft-save", ""): "-A x\n"}, "nft"),
        ({("iptables-nft-save", ""): "-A x\n", ("iptables-legacy-save", ""): "-A y\n"}, "legacy"),
        ({("iptables-nft-save", "mangle"): ":KUBE-IPTABLES-HINT - [0:0]"}, "nft"),
        (
            {
                ("iptables-legacy-save", "mangle"): ":KUBE-KUBELET-CANARY - [0:0]",
                ("iptables-nft-save", ""): "-A x\n-A y\n",
            },
            "legacy",
        ),
    ],
)
def test_the_backend_that_is_in_use_is_found(
    saved: dict[tuple[str, str], str], expected: str
) -> None:
    found = programs.detected_mode(lambda program, table: saved.get((program, table), ""))
    assert found == expected


def test_names_of_the_second_family() -> None:
    assert (
        programs.named("/sbin/iptables-nft", "", family=6).restore == "/sbin/ip6tables-nft-restore"
    )
    assert programs.named("iptables", "my-iptables-save", family=6).save == "my-ip6tables-save"


def test_rules_that_are_not_there_are_named() -> None:
    wanted = Redirection(4143, 4140, uid=2102, skip_inbound=(Ports(80, 80), Ports(90, 99)))
    full = rules_text(wanted, family=4, existing="")

    def missing(text: str) -> list[str]:
        return missing_rules(wanted, family=4, existing=text)

    assert missing(full) == []
    # As it is saved, words without spaces have no quotes.
    assert missing(full.replace('"', "")) == []
    assert "a jump from PREROUTING" in missing("")
    lines = full.splitlines()
    for number, line in enumerate(lines):
        if line.startswith("-A"):
            rest = "\n".join(lines[:number] + lines[number + 1 :])
            assert len(missing(rest)) == 1, line
    loopback = next(line for line in lines if "ignore-loopback" in line)
    lines.remove(loopback)
    lines.insert(-1, loopback)
    assert missing("\n".join(lines)) == ["the order of PROXY_INIT_OUTPUT"]
