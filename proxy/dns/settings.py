"""The two files every resolver on the machine obeys: resolv.conf and hosts."""

from __future__ import annotations

import os
import stat
from typing import Final, NamedTuple, Protocol

from linkerd2_py.proxy.addresses import SocketAddr, is_host_name, pack_ip, split_host_port

DNS_PORT: Final = 53
_SERVERS_MAX: Final = 3  # as in the C library: more would only lengthen a failure
_SEARCH_MAX: Final = 6
_FILE_MAX: Final = 1 << 20

Stamp = tuple[int, int, int]


class ResolverSettings(NamedTuple):
    """resolv.conf(5), with the C library's defaults and bounds."""

    servers: tuple[SocketAddr, ...] = (SocketAddr("127.0.0.1", DNS_PORT),)
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout_s: float = 5.0
    attempts: int = 2

    @property
    def current(self) -> ResolverSettings:
        """Settings that do not change are what they are."""
        return self


class Settings(Protocol):
    """What holds the settings in force."""

    @property
    def current(self) -> ResolverSettings: ...


class ResolvConf:
    """A file of settings, read again when it has changed. While it is missing, what it last said holds:
    defaults at first.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._stamp: Stamp | None = None
        self._settings = ResolverSettings()

    @property
    def current(self) -> ResolverSettings:
        """What it says now."""
        stamp = _stamp_of(self.path)
        if stamp is not None and stamp != self._stamp:
            self._stamp, self._settings = stamp, parse_resolv_conf(_read(self.path))
        return self._settings


def parse_resolv_conf(text: str) -> ResolverSettings:
    """What of `text` can be understood; the rest is passed over, as every resolver does."""
    servers: list[SocketAddr] = []
    search: tuple[str, ...] = ()
    numbers = {"ndots": 1, "timeout": 5, "attempts": 2}
    for line in text.splitlines():
        words = line.split("#")[0].split(";")[0].split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            server = _server(words[1])
            servers += [server] if server else []
        elif words[0] in {"search", "domain"}:
            search = tuple(word.lower() for word in words[1:] if is_host_name(word))[:_SEARCH_MAX]
        elif words[0] == "options":
            _read_options(words[1:], numbers=numbers)
    return ResolverSettings(
        servers=tuple(servers[:_SERVERS_MAX]) or ResolverSettings().servers,
        search=search,
        ndots=min(numbers["ndots"], 15),
        timeout_s=float(min(max(numbers["timeout"], 1), 30)),
        attempts=min(max(numbers["attempts"], 1), 5),
    )


class Hosts:
    """The hosts file, read again when it has changed."""

    def __init__(self, path: str = "/etc/hosts") -> None:
        self.path = path
        self._stamp: Stamp | None = None
        self._names: dict[str, tuple[bytes, ...]] = {}

    def addresses(self, name: str) -> tuple[bytes, ...]:
        """Packed addresses of `name`, none when the file does not list it."""
        stamp = _stamp_of(self.path)
        if stamp is None:
            return ()
        if stamp != self._stamp:
            self._stamp, self._names = stamp, parse_hosts(_read(self.path))
        return self._names.get(name.lower().removesuffix("."), ())


def parse_hosts(text: str) -> dict[str, tuple[bytes, ...]]:
    """Lower-case name to packed addresses, in the order of the file."""
    names: dict[str, tuple[bytes, ...]] = {}
    for line in text.splitlines():
        words = line.split("#")[0].split()
        packed = pack_ip(words[0]) if words else None
        if packed is None:
            continue
        for name in words[1:]:
            known = names.get(name.lower(), ())
            names[name.lower()] = known if packed in known else (*known, packed)
    return names


def _stamp_of(path: str) -> Stamp | None:
    """What changes with every edit; None while there is no such file, and for what is none: a pipe has
    nothing to say.
    """
    try:
        status = os.stat(path)  # noqa: PTH116  # pathlib is 0.4 MiB
    except OSError:
        return None
    is_file = stat.S_ISREG(status.st_mode)
    return (status.st_mtime_ns, status.st_size, status.st_ino) if is_file else None


def _server(word: str) -> SocketAddr | None:
    """An address, or `[address]:port` as some systems allow; None for what is neither."""
    if pack_ip(word) is not None:
        return SocketAddr(word, DNS_PORT)
    if not word.startswith("["):
        return None
    host, _, port = word[1:].partition("]:")
    try:
        _, number = split_host_port(f"x:{port}")
    except ValueError:
        return None
    return SocketAddr(host, number) if pack_ip(host) is not None and number else None


def _read_options(words: list[str], *, numbers: dict[str, int]) -> None:
    for word in words:
        name, _, value = word.partition(":")
        if name in numbers and value.isascii() and value.isdecimal():
            numbers[name] = int(value[:4])


def _read(path: str) -> str:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            return file.read(_FILE_MAX).decode("utf-8", "replace")
    except OSError:
        return ""


def _open_at_once(path: str, flags: int) -> int:
    """The whole proxy would wait for who never writes to a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)
