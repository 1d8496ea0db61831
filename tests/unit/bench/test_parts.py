"""Small pure parts: templates, options of programs, memory of processes, processors, stale programs."""

import os
from pathlib import Path

import pytest

from bench import native, template
from bench.accounting import Memory, parse_status
from bench.certificates import make_certificates, values_of
from bench.children import Children
from bench.errors import BenchError
from bench.machine import Placement, fingerprint
from bench.programs import LoadResult, LoadTls, flags
from bench.subjects import subjects
from bench.subjects.ours import Given
from bench.subjects.subject import Site, free_address, version_of

SERVERS = ("127.0.0.1:81", "127.0.0.2:82")


def test_a_line_with_a_host_is_repeated_for_each_server() -> None:
    text = "listen @listen@;\n  server s@number@ @host@:@port@ x;\nend\n"
    assert template.fill(text, servers=SERVERS, listen="here") == (
        "listen here;\n  server s0 127.0.0.1:81 x;\n  server s1 127.0.0.2:82 x;\nend\n"
    )


def test_a_name_without_a_value_is_refused() -> None:
    with pytest.raises(BenchError, match="@port_of_call@"):
        template.fill("x @port_of_call@\n", servers=SERVERS)


@pytest.mark.parametrize(
    "name", [path.name for path in template.TEMPLATES.iterdir() if "-tls-" in path.name]
)
def test_what_tls_needs_is_a_part_of_a_configuration(name: str, tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    others = dict.fromkeys(("verify", "tickets", "without_tickets", "alpn"), "on")
    text = template.filled(name, **others, **values_of(made, made.server))
    assert str(made.anchors) in text
    assert str(made.server.chain) in text


def test_options_become_words() -> None:
    options = {"request_bytes": 5, "close": True, "hold": False, "rate": None, "target": ("a", "b")}
    assert list(flags(options)) == ["--request-bytes", "5", "--close", "--target", "a,b"]
    assert not list(flags({"watch": ()}))


def test_a_client_of_a_run_is_told_whom_to_trust_and_who_it_is(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    words = list(LoadTls.of(made, resume=True).flags())
    assert words == [
        *("--tls", "--sni", made.server.name, "--ca", str(made.anchors)),
        *("--cert", str(made.client.chain), "--key", str(made.client.key), "--resume"),
    ]
    assert "--resume" not in LoadTls.of(made).flags()


def test_a_result_may_say_more_than_is_understood() -> None:
    line = (
        '{"exchanges":7,"messages":0,"seconds":1.0,"bytes":896,"errors":1,"error_kinds":{"reset":1},'
        '"cpu_ns":null,"own_cpu_ns":5,"p50_us":1,"p90_us":2,"p99_us":3,"p999_us":4,"max_us":5,'
        '"mean_us":1.5,"phase_of_the_moon":3}'
    )
    result = LoadResult.parse(line)
    assert (result.exchanges, result.error_kinds, result.cpu_ns) == (7, {"reset": 1}, None)


def test_memory_is_read_from_the_kernels_text() -> None:
    text = "Name:\tnginx\nVmRSS:\t    1234 kB\nRssAnon:\t     567 kB\n"
    assert parse_status(text) == Memory(rss_kib=1234, private_kib=567)
    assert parse_status("Name:\tgone\nState:\tZ (zombie)\n") == Memory(0, 0)


def test_the_subject_is_alone_where_it_can_be() -> None:
    assert Placement.choose({3, 1, 2}, one_is_enough=False) == Placement(traffic=1, subject=2)
    assert Placement.choose({5}, one_is_enough=True) == Placement(traffic=5, subject=5)
    with pytest.raises(BenchError, match="needs two"):
        Placement.choose({5}, one_is_enough=False)


def test_the_fingerprint_is_of_this_machine() -> None:
    assert fingerprint().kernel == os.uname().release


def test_a_program_is_stale_when_a_source_is_newer(tmp_path: Path) -> None:
    source, target = tmp_path / "a.c", tmp_path / "a"
    source.touch()
    assert native.is_stale(target, [source])
    target.touch()
    os.utime(source, ns=(1, 1))
    assert not native.is_stale(target, [source])
    os.utime(target, ns=(0, 0))
    assert native.is_stale(target, [source])


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        ("x.c:1:10: fatal error: nghttp2/nghttp2.h: No such file or directory", "libnghttp2-dev"),
        ("x.c:1:10: fatal error: openssl/err.h: No such file or directory", "libssl-dev"),
        ("In function 'f':\nx.c:3:1: error: expected ';'\n  3 | }", "expected ';'"),
    ],
)
def test_why_a_program_does_not_compile_is_one_line(complaint: str, words: str) -> None:
    found = native.reason("load", complaint)
    assert words in found
    assert "\n" not in found


def test_a_program_that_does_not_exist_is_named() -> None:
    with pytest.raises(BenchError, match=r"bench/native/nonsense\.c"):
        native.program("nonsense")


def test_addresses_are_loopback_and_differ() -> None:
    addresses = {free_address() for _ in range(20)}
    assert len(addresses) == 20
    assert all(address.startswith("127.") for address in addresses)


def test_a_binary_that_was_given_must_be_one(tmp_path: Path) -> None:
    assert "is not a program" in (Given(tmp_path / "absent").missing() or "")
    program = tmp_path / "proxy"
    program.write_text("#!/bin/sh\necho linkerd2-proxy 2.345.0\n")
    program.chmod(0o755)
    given = subjects(program)["linkerd2-proxy"]
    assert given.missing() is None
    assert given.version() == "2.345.0"


def test_a_program_that_cannot_say_its_version_has_none(tmp_path: Path) -> None:
    assert version_of(str(tmp_path / "absent"), "-v") == "unknown"


@pytest.mark.parametrize("path", sorted(template.TEMPLATES.iterdir()), ids=lambda path: path.name)
def test_templates_have_no_hosts_of_their_own(path: Path) -> None:
    assert "127.0.0." not in path.read_text()


def test_a_site_has_a_new_folder_for_each_subject(tmp_path: Path) -> None:
    site = Site(Children(tmp_path), Placement(0, 0), 0, "http1", SERVERS)
    assert site.folder("nginx") != site.folder("nginx")
