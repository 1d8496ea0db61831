"""The relay itself: invisible by default, and each way it can hurt."""

from collections.abc import Iterator

import pytest

from tests.support.flaky_link import FlakyLink, Towards
from tests.support.raw_socket import End, RawConnection, RawListener
from tests.support.wait import eventually


@pytest.fixture
def listener() -> Iterator[RawListener]:
    with RawListener() as listening:
        yield listening


@pytest.fixture
def link(listener: RawListener) -> Iterator[FlakyLink]:
    with FlakyLink(listener.address) as relay:
        yield relay


@pytest.fixture
def ends(link: FlakyLink, listener: RawListener) -> Iterator[tuple[RawConnection, RawConnection]]:
    with RawConnection.connect(link.address) as client, listener.accept() as server:
        yield client, server


Ends = tuple[RawConnection, RawConnection]


def test_bytes_pass_unchanged_in_both_directions(ends: Ends) -> None:
    client, server = ends
    client.send(b"question")
    assert server.receive(8) == b"question"
    server.send(b"answer")
    assert client.receive(6) == b"answer"


def test_a_half_close_passes_as_a_half_close(ends: Ends) -> None:
    client, server = ends
    client.send(b"all")
    client.half_close()
    assert server.receive_to_end() == (b"all", End.FIN)
    server.send(b"late answer")
    assert client.receive(11) == b"late answer"


def test_a_reset_passes_as_a_reset(ends: Ends) -> None:
    client, server = ends
    client.reset()
    assert server.receive_to_end() == (b"", End.RESET)


def test_cut_ends_both_sides_cleanly(link: FlakyLink, ends: Ends) -> None:
    assert link.cut() == 1
    assert [end.receive_to_end() for end in ends] == [(b"", End.FIN)] * 2


def test_reset_resets_both_sides(link: FlakyLink, ends: Ends) -> None:
    assert link.reset() == 1
    assert [end.receive_to_end() for end in ends] == [(b"", End.RESET)] * 2


def test_slices_arrive_as_separate_reads(link: FlakyLink, ends: Ends) -> None:
    client, server = ends
    weather = link.weather[Towards.SERVER]
    weather.slice_bytes = 2

    def separately(gap_s: float) -> bool:
        """Both slices are read together where the reader comes later than the gap is long."""
        weather.gap_s = gap_s
        client.send(b"abcd")
        first = server.sock.recv(100)
        rest = server.receive(4 - len(first)) if len(first) < 4 else b""
        assert first + rest == b"abcd"
        return first == b"ab"

    assert any(separately(0.01 * 2**attempt) for attempt in range(9))


def test_cut_after_lets_exactly_that_many_bytes_pass(link: FlakyLink, ends: Ends) -> None:
    client, server = ends
    link.weather[Towards.SERVER].cut_after = 5
    client.send(b"abc")
    assert server.receive(3) == b"abc"
    client.send(b"defg")
    assert server.receive_to_end() == (b"de", End.FIN)


def test_reset_after_ends_with_a_reset(link: FlakyLink, ends: Ends) -> None:
    client, server = ends
    link.weather[Towards.CLIENT].reset_after = 3
    server.send(b"abcdef")
    got, end = client.receive_to_end()
    assert end is End.RESET
    assert b"abc".startswith(got)


def test_a_stalled_link_holds_bytes_until_resume(link: FlakyLink, ends: Ends) -> None:
    client, server = ends
    link.stall()
    client.send(b"held")
    server.assert_silent()
    link.resume()
    assert server.receive(4) == b"held"


def test_refusing_keeps_existing_connections_and_turns_new_ones_away(
    link: FlakyLink, ends: Ends
) -> None:
    client, server = ends
    link.refuse()
    with pytest.raises(ConnectionRefusedError):
        RawConnection.connect(link.address)
    client.send(b"still here")
    assert server.receive(10) == b"still here"
    link.accept_again()
    RawConnection.connect(link.address).close()


def test_an_unreachable_server_resets_the_client(link: FlakyLink, listener: RawListener) -> None:
    listener.close()
    with pytest.raises(ConnectionResetError), RawConnection.connect(link.address) as client:
        client.sock.recv(1)


def test_connections_are_forgotten_once_both_directions_ended(link: FlakyLink, ends: Ends) -> None:
    client, server = ends
    client.close()
    server.close()
    eventually(lambda: link.connections() == 0)
    assert link.accepted == 1
