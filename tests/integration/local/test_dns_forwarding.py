"""Names that are not the mesh's: passed on to real name servers that delay, fail, lie and say nothing."""

from __future__ import annotations

from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.controlplane.local.names.forwarder import WAITING_MAX, Forwarder
from linkerd2_py.controlplane.local.names.messages import read_query
from tests.support.dns_server import A, Rows, encode_answer
from tests.support.dns_server import DnsServer as OtherServer
from tests.support.local_mesh import LocalMesh
from tests.support.own_dns import OWN, framed, own_dns, read_message
from tests.support.wait import eventually_async, within

NAME = "web.test"
ROWS = {(NAME, A): Rows(("192.0.2.1",))}


def at(server: OtherServer) -> str:
    host, port = server.address
    return f"{host}:{port}"


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def texts(answer: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in answer.answer for record in rrset]


@pytest.mark.parametrize("stream", [False, True])
async def test_other_names_are_asked_the_same_way(stream: bool) -> None:
    with OtherServer(ROWS) as other:
        async with own_dns(LocalMesh(), forward_to=[at(other)]) as server:
            answer = await server.ask(NAME, stream=stream)
            absent = await server.ask("none.test", stream=stream)
        assert texts(answer) == ["192.0.2.1"]
        assert not answer.flags & dns.flags.AA
        assert absent.rcode() == dns.rcode.NXDOMAIN
        transport = "tcp" if stream else "udp"
        assert other.questions == [(NAME, A, transport), ("none.test", A, transport)]


async def test_names_of_the_mesh_are_asked_of_nobody() -> None:
    with OtherServer(ROWS) as other:
        async with own_dns(LocalMesh(), forward_to=[at(other)]) as server:
            for name in ("none.default.svc.cluster.local", "cluster.local", "X.Cluster.Local"):
                await server.ask(name)
        assert other.questions == []


async def test_a_query_is_passed_on_as_it_came_but_for_its_number() -> None:
    seen: list[bytes] = []

    def note(query: bytes) -> list[bytes]:
        seen.append(query)
        return []

    query = dns.message.make_query(NAME, "A", use_edns=0, payload=1400, want_dnssec=True)
    with OtherServer(ROWS, before=note) as other:
        async with own_dns(LocalMesh(), forward_to=[at(other)]) as server:
            for _ in range(8):
                assert query.is_response(await server.put(query))
    assert {sent[2:] for sent in seen} == {query.to_wire()[2:]}
    # The client's own in all eight in one of 2^128 runs.
    assert len({sent[:2] for sent in seen}) > 1


async def test_what_was_cut_short_is_asked_again_over_tcp_by_the_client() -> None:
    with OtherServer(ROWS, truncate=True) as other:
        async with own_dns(LocalMesh(), forward_to=[at(other)]) as server:
            short = await server.ask(NAME)
            whole = await server.ask(NAME, stream=True)
    assert short.flags & dns.flags.TC
    assert texts(whole) == ["192.0.2.1"]


async def test_lies_are_passed_over() -> None:
    def lies(query: bytes) -> list[bytes]:
        number = int.from_bytes(query[:2]) ^ 1
        other = dns.message.make_query("other.test", "A", id=int.from_bytes(query[:2]))
        refused = encode_answer(query, [], rcode=5)
        return [
            b"",
            query[:2],
            query,
            number.to_bytes(2) + refused[2:],
            encode_answer(other.to_wire(), [], rcode=5),
            refused[:-1],
        ]

    with OtherServer(ROWS, before=lies) as other:
        async with own_dns(LocalMesh(), forward_to=[at(other)]) as server:
            assert texts(await server.ask(NAME)) == ["192.0.2.1"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("first", [OtherServer(silent=True), OtherServer(rcode=5), None])
async def test_the_next_server_is_asked_when_one_is_silent_refuses_or_is_not_there(
    first: OtherServer | None, stream: bool
) -> None:
    async with within(20):
        with OtherServer(ROWS) as second:
            if first is None:
                answer = await ask_both("127.0.0.1:9", at(second), stream=stream)
            else:
                with first:
                    answer = await ask_both(at(first), at(second), stream=stream)
                assert first.asked(NAME) >= 1
    assert texts(answer) == ["192.0.2.1"]


async def ask_both(first: str, second: str, *, stream: bool) -> dns.message.Message:
    async with own_dns(LocalMesh(), forward_to=[first, second], timeout_s=0.3) as server:
        return await server.ask(NAME, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
async def test_without_any_answer_the_client_hears_that(stream: bool) -> None:
    with OtherServer(silent=True) as other:
        async with own_dns(LocalMesh(), forward_to=[at(other)], timeout_s=0.1) as server:
            answer = await server.ask(NAME, stream=stream, edns=1232)
    assert answer.rcode() == dns.rcode.SERVFAIL
    assert answer.edns == 0
    async with own_dns(LocalMesh()) as server:
        assert (await server.ask(NAME, stream=stream)).rcode() == dns.rcode.SERVFAIL


async def test_the_first_failure_is_passed_on_when_there_is_nothing_better() -> None:
    with OtherServer(rcode=5) as other:
        async with own_dns(LocalMesh(), forward_to=[at(other)]) as server:
            assert (await server.ask(NAME)).rcode() == dns.rcode.REFUSED


async def test_it_never_asks_itself() -> None:
    with OtherServer(ROWS) as other:
        async with own_dns(LocalMesh(), forward_to=[OWN, at(other)], timeout_s=30) as server:
            assert texts(await server.ask(NAME)) == ["192.0.2.1"]
        assert other.asked(NAME) == 1


async def test_other_servers_are_asked_from_when_they_are_named() -> None:
    with OtherServer() as old, OtherServer(ROWS) as new:
        async with own_dns(LocalMesh(), forward_to=[at(old)]) as server:
            assert (await server.ask(NAME)).rcode() == dns.rcode.NXDOMAIN
            server.forward_to([f"{server.host}:{server.port}", at(new)])
            assert texts(await server.ask(NAME)) == ["192.0.2.1"]
            with pytest.raises(ValueError, match="not the address"):
                server.forward_to(["nonsense"])
            assert texts(await server.ask(NAME)) == ["192.0.2.1"]


async def test_slow_names_hold_up_no_others() -> None:
    with OtherServer(silent=True) as other:
        async with own_dns(LocalMesh(), forward_to=[at(other)], timeout_s=30) as server:
            slow = spawn(server.ask(NAME), name="slow")
            await eventually_async(lambda: other.asked(NAME))
            assert (await server.ask("x.cluster.local")).rcode() == dns.rcode.NXDOMAIN
            await cancel_all([slow])


async def test_a_thousand_may_wait_and_few_sockets_are_used() -> None:
    query = read_query(dns.message.make_query(NAME, "A").to_wire())
    with OtherServer(silent=True) as other:
        forwarder = Forwarder(lambda: [other.address], timeout_s=30)
        before = open_files()
        waiting = [
            spawn(forwarder.ask(query, stream=False), name="ask") for _ in range(WAITING_MAX)
        ]
        await eventually_async(lambda: other.asked(NAME))
        assert await forwarder.ask(query, stream=False) is None
        assert open_files() - before < 200
        await cancel_all(waiting)
        again = spawn(forwarder.ask(query, stream=False), name="ask")
        asked = other.asked(NAME)
        await eventually_async(lambda: other.asked(NAME) > asked)
        await cancel_all([again])


async def test_stop_ends_what_waits() -> None:
    with OtherServer(silent=True) as other:
        async with own_dns(LocalMesh(), forward_to=[at(other)], timeout_s=30) as server:
            reader, writer = await server.connect()
            writer.write(framed(dns.message.make_query("cluster.local", "A").to_wire()))
            await read_message(reader)
            slow = spawn(server.ask(NAME), name="slow")
            await eventually_async(lambda: other.asked(NAME))
        await cancel_all([slow])
    assert await reader.read() == b""
    writer.close()
