"""Addresses nobody else listens on, for programs that cannot bind port 0 themselves."""

import itertools
import os
import socket

# Each test process draws from its own /24 slices of 127/8, so parallel runs do not meet.
_hosts = itertools.count(2)


def free_port(*, host: str = "127.0.0.1") -> int:
    """A TCP port of `host` that was free a moment ago; prefer binding port 0 where the program can."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def loopback_host() -> str:
    """A loopback address this process has not given out before, in a slice derived from its pid."""
    slice_number = os.getpid() % (64 * 256)
    return f"127.{64 + slice_number // 256}.{slice_number % 256}.{next(_hosts) % 254 + 1}"


def free_address() -> tuple[str, int]:
    """A fresh loopback host with a free port: practically without races."""
    host = loopback_host()
    return host, free_port(host=host)


def is_listening(address: tuple[str, int], *, timeout_s: float = 0.5) -> bool:
    """Whether something accepts TCP connections at `address` now."""
    try:
        with socket.create_connection(address, timeout=timeout_s):
            return True
    except OSError:
        return False


def bound_pair() -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket bound to one free port of loopback: what is free for one may be taken for the
    other.
    """
    while True:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        tcp.bind(("127.0.0.1", 0))
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
            continue
        return udp, tcp
