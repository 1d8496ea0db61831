"""resolv.conf and hosts."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.dns.resolver import candidates
from linkerd2_py.proxy.dns.settings import (
    Hosts,
    ResolvConf,
    ResolverSettings,
    parse_hosts,
    parse_resolv_conf,
)


def test_everything_resolv_conf_says() -> None:
    found = parse_resolv_conf(
        "# comment\nnameserver 10.0.0.10 ; dns\nnameserver ::1\nnameserver [127.0.0.1]:5353\n"
        "nameserver 10.0.0.11\nsearch Ns.svc.cluster.local svc.cluster.local\n"
        "options ndots:5 timeout:2 attempts:3 rotate\n"
    )
    assert found == ResolverSettings(
        servers=(SocketAddr("10.0.0.10", 53), SocketAddr("::1", 53), SocketAddr("127.0.0.1", 5353)),
        search=("ns.svc.cluster.local", "svc.cluster.local"),
        ndots=5,
        timeout_s=2.0,
        attempts=3,
    )


def test_what_cannot_be_read_is_passed_over() -> None:
    text = "nameserver fe80::1%eth0\nnameserver [1.2.3.4]\nnameserver [1.2.3.4]:0\nnameserver\noptions timeout:x"
    assert parse_resolv_conf(text) == ResolverSettings()


def test_numbers_are_bounded() -> None:
    found = parse_resolv_conf("options ndots:99 timeout:0 attempts:99")
    assert (found.ndots, found.timeout_s, found.attempts) == (15, 1.0, 5)


def test_resolv_conf_is_read_again_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    conf = ResolvConf(str(path))
    assert conf.current == ResolverSettings()
    path.write_text("nameserver 10.0.0.1\n")
    first = conf.current
    assert first.servers == (SocketAddr("10.0.0.1", 53),)
    # A file that takes its place, as editors and DHCP clients write it: of the same size and time.
    other = tmp_path / "other"
    other.write_text("nameserver 10.0.0.2\n")
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.rename(path)
    assert conf.current.servers == (SocketAddr("10.0.0.2", 53),)
    path.unlink()
    assert conf.current.servers == (SocketAddr("10.0.0.2", 53),)


@pytest.mark.parametrize("replace", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_taken_for_a_missing_one(
    tmp_path: Path, replace: Callable[[Path], None]
) -> None:
    """And never waited for: everything that the proxy carries would wait, too."""
    path, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    path.write_text("nameserver 10.0.0.10\n")
    found = ResolvConf(str(path))
    assert found.current.servers == (SocketAddr("10.0.0.10", 53),)
    path.unlink()
    replace(path)
    replace(hosts)
    assert found.current.servers == (SocketAddr("10.0.0.10", 53),)
    assert Hosts(str(hosts)).addresses("web") == ()


def test_hosts_lists_addresses_in_order() -> None:
    names = parse_hosts("127.0.0.1 localhost Web # x\n::1 web\n127.0.0.1 web\nbad web\n\n")
    assert names == {
        "localhost": (bytes([127, 0, 0, 1]),),
        "web": (bytes([127, 0, 0, 1]), bytes(15) + b"\x01"),
    }


def test_hosts_is_read_again_when_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    hosts = Hosts(path=str(path))
    assert hosts.addresses("web") == ()
    path.write_text("10.0.0.1 web\n")
    assert hosts.addresses("WEB.") == (bytes([10, 0, 0, 1]),)
    path.write_text("10.0.0.2 web\n")
    os.utime(path, ns=(1, 1))
    assert hosts.addresses("web") == (bytes([10, 0, 0, 2]),)


def test_the_search_path_follows_ndots() -> None:
    settings = ResolverSettings(search=("ns.local", "local"), ndots=2)
    assert candidates("web", settings=settings) == ("web.ns.local", "web.local", "web")
    assert candidates("a.b.c", settings=settings) == ("a.b.c", "a.b.c.ns.local", "a.b.c.local")
    assert candidates("web.", settings=settings) == ("web",)
