"""Linkerd's flags of proxy-init, and ours."""

from __future__ import annotations

import argparse
import ipaddress
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, NoReturn

from linkerd2_py.proxy.pod.init.programs import Mode
from linkerd2_py.proxy.pod.init.rules import Family, Ports, Redirection

LOG_LEVELS: Final = {
    "trace": "trace",
    "debug": "debug",
    "info": "info",
    "warn": "warn",
    "warning": "warn",
    "error": "error",
    "fatal": "off",
    "panic": "off",
}
"""Linkerd's words for them, and ours."""


class UsageError(Exception):
    """The command line is wrong; the text is one line that says how."""


class Options(NamedTuple):
    """What was asked for. `wanted` is None for a clean-up."""

    wanted: Redirection | None
    mode: Mode | None
    bin_path: str
    save_bin_path: str
    families: tuple[Family, ...]
    simulate: bool
    check: bool
    netns: str
    wait: bool
    close_wait_s: int
    log_level: str
    log_format: Literal["plain", "json"]


def parse(words: Sequence[str]) -> Options:
    """Read the command line. UsageError if it is wrong; `--help` prints and exits."""
    given = _parser().parse_args(words)
    return Options(
        wanted=None if given.cleanup else _redirection(given),
        mode=given.iptables_mode,
        bin_path=given.firewall_bin_path,
        save_bin_path=given.firewall_save_bin_path,
        families=(4, 6) if given.ipv6 else (4,),
        simulate=given.simulate,
        check=given.check,
        netns=given.netns,
        wait=given.use_wait_flag,
        close_wait_s=given.timeout_close_wait_secs,
        log_level=LOG_LEVELS[given.log_level],
        log_format=given.log_format,
    )


def _redirection(given: argparse.Namespace) -> Redirection:
    for flag in ("incoming", "outgoing"):
        port = getattr(given, f"{flag}_proxy_port")
        if not 1 <= port <= 65535:
            raise UsageError(f"--{flag}-proxy-port must be a valid TCP port number (1 to 65535)")
    return Redirection(
        inbound_port=given.incoming_proxy_port,
        outbound_port=given.outgoing_proxy_port,
        uid=given.proxy_uid if given.proxy_uid > 0 else None,
        gid=given.proxy_gid if given.proxy_gid > 0 else None,
        only_inbound=tuple(given.ports_to_redirect),
        skip_inbound=tuple(given.inbound_ports_to_ignore),
        skip_outbound=tuple(given.outbound_ports_to_ignore),
        subnets=tuple(given.subnets_to_ignore),
    )


_LIST: Final[dict[str, Any]] = {"action": "extend", "default": []}
"""Given again, a list goes on."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="linkerd2-py proxy-init",
        description="Redirects a pod's TCP traffic to its proxy, with iptables. Run it in the pod's"
        " network namespace.",
        allow_abbrev=False,
    )
    _add_redirection(parser.add_argument_group("what goes to the proxy"))
    _add_exceptions(parser.add_argument_group("what passes it by"))
    _add_packet_filter(parser.add_argument_group("the packet filter"))
    _add_run(parser.add_argument_group("this run"))
    return parser


def _add_redirection(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-p",
        "--incoming-proxy-port",
        type=_int,
        default=-1,
        metavar="PORT",
        help="where incoming connections are redirected (required)",
    )
    add(
        "-o",
        "--outgoing-proxy-port",
        type=_int,
        default=-1,
        metavar="PORT",
        help="where outgoing connections are redirected (required)",
    )
    add(
        "-r",
        "--ports-to-redirect",
        "--inbound-ports-to-redirect",
        type=_int_list,
        metavar="PORT,…",
        help="redirect only these inbound ports (default: all)",
        **_LIST,
    )
    add("--ipv6", help="set the rules for IPv6 too (default: true)", **_switch(default=True))


def _add_exceptions(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "-u",
        "--proxy-uid",
        type=_int,
        default=-1,
        metavar="UID",
        help="user of the proxy, whose connections are left alone",
    )
    add(
        "-g",
        "--proxy-gid",
        type=_int,
        default=-1,
        metavar="GID",
        help="group of the proxy, whose connections are left alone",
    )
    add(
        "--inbound-ports-to-ignore",
        type=_port_list,
        metavar="PORT,FROM-TO,…",
        help="inbound ports that are never redirected",
        **_LIST,
    )
    add(
        "--outbound-ports-to-ignore",
        type=_port_list,
        metavar="PORT,FROM-TO,…",
        help="outbound ports that are never redirected",
        **_LIST,
    )
    add(
        "--subnets-to-ignore",
        type=_subnet_list,
        metavar="CIDR,…",
        help="subnets whose incoming connections are never redirected",
        **_LIST,
    )


def _add_packet_filter(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--iptables-mode",
        choices=("legacy", "nft", "plain", "auto"),
        help="backend of iptables (default: nft where it is installed); overrides the paths below",
    )
    add(
        "--firewall-bin-path",
        default="",
        metavar="PATH",
        help="iptables program; -restore and -save are appended to it",
    )
    add("--firewall-save-bin-path", default="", metavar="PATH", help="iptables-save program")
    add(
        "-w",
        "--use-wait-flag",
        help="wait for other programs that change rules",
        **_switch(default=False),
    )
    add(
        "--timeout-close-wait-secs",
        type=_seconds,
        default=0,
        metavar="SECONDS",
        help="set nf_conntrack_tcp_timeout_close_wait",
    )


def _add_run(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--netns",
        default="",
        metavar="PATH",
        help="network namespace to do it in: a path, or a name below /run/netns",
    )
    add("--simulate", help="print what would be loaded, load nothing", **_switch(default=False))
    add(
        "--check",
        action="store_true",
        help="change nothing; status 1 if the rules are not there",
    )
    add("--cleanup", action="store_true", help="remove everything that proxy-init has set up")
    add(
        "--log-format",
        choices=("plain", "json"),
        default="plain",
        help="log lines on stderr (default: plain)",
    )
    add("--log-level", choices=tuple(LOG_LEVELS), default="info", help="(default: info)")


def _switch(*, default: bool) -> dict[str, Any]:
    """As Go's flags have it: `--ipv6` and `--ipv6=false`."""
    return {"type": _bool, "nargs": "?", "const": True, "default": default, "metavar": "BOOL"}


def _int(text: str) -> int:
    # argparse shows the reason only of this error.
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(text) <= 10):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _seconds(text: str) -> int:
    number = _int(text)
    if not 0 <= number < 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def _bool(text: str) -> bool:
    words = {"true": True, "1": True, "t": True, "false": False, "0": False, "f": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"must be true or false, not {text!r}")
    return words[text.lower()]


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def _int_list(text: str) -> list[int]:
    return [_port(part) for part in _parts(text)]


def _port_list(text: str) -> list[Ports]:
    return [_ports(part) for part in _parts(text)]


def _ports(text: str) -> Ports:
    first, dash, last = text.partition("-")
    found = Ports(_port(first), _port(last) if dash else _port(first))
    if found.last < found.first:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rising range of ports")
    return found


def _subnet_list(text: str) -> list[tuple[Family, str]]:
    return [_subnet(part) for part in _parts(text)]


def _subnet(text: str) -> tuple[Family, str]:
    try:
        network = ipaddress.ip_network(text, strict=False) if "/" in text else None
    except ValueError:
        network = None
    if network is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a valid CIDR address")
    return 4 if network.version == 4 else 6, text


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
