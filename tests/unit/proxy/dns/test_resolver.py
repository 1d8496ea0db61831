"""Names against a real name server on loopback."""

import asyncio
import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from linkerd2_py.base.backoff import Backoff, BackoffRange
from linkerd2_py.base.clock import SystemClock
from linkerd2_py.base.tasks import cancel_all, spawn
from linkerd2_py.proxy.addresses import SocketAddr
from linkerd2_py.proxy.dns.follow import NameListener, TtlBounds, follow_name
from linkerd2_py.proxy.dns.resolver import NameAbsentError, Resolution, ResolveError, Resolver
from linkerd2_py.proxy.dns.settings import Hosts, ResolvConf, ResolverSettings
from tests.support.dns_server import (
    AAAA,
    CNAME,
    NO_NAME,
    SERVFAIL,
    A,
    DnsServer,
    Rows,
    encode_answer,
    read_question,
)
from tests.support.wait import eventually_async

NOWHERE = Path("/nonexistent/hosts")


def resolver(
    *servers: DnsServer,
    search: tuple[str, ...] = (),
    timeout_s: float = 5.0,
    count: Callable[[str, str], None] = lambda kind, result: None,
    hosts: Path = NOWHERE,
) -> Resolver:
    settings = ResolverSettings(
        servers=tuple(SocketAddr(*server.address) for server in servers),
        search=search,
        timeout_s=timeout_s,
        attempts=1,
    )
    return Resolver(settings, hosts=Hosts(path=str(hosts)), count=count)


async def test_both_families_and_the_shortest_ttl() -> None:
    zone = {
        ("web.test", A): Rows(("10.0.0.1", "10.0.0.2"), 30),
        ("web.test", AAAA): Rows(("::1",), 20),
    }
    results: list[tuple[str, str]] = []
    with DnsServer(zone) as server:
        found = await resolver(server, count=lambda *what: results.append(what)).resolve("web.test")
    # Those of IPv4 first, whichever answer came first.
    assert found.addresses in {("10.0.0.1", "10.0.0.2"), ("10.0.0.1", "10.0.0.2", "::1")}
    assert found.ttl_s == 20
    assert sorted(results) == [("A", "ok"), ("AAAA", "ok")]


async def test_one_family_is_enough() -> None:
    with DnsServer({("web.test", A): Rows(("10.0.0.1",), 30)}) as server:
        found = await resolver(server).resolve("Web.test.")
    assert (found.addresses, found.ttl_s) == (("10.0.0.1",), 30)


async def test_an_alias() -> None:
    zone = {("www.test", CNAME): Rows(("web.test",), 9), ("web.test", A): Rows(("10.0.0.1",), 30)}
    with DnsServer(zone) as server:
        found = await resolver(server).resolve("www.test")
    assert (found.addresses, found.ttl_s) == (("10.0.0.1",), 9)


async def test_an_alias_that_the_server_does_not_follow_is_asked_for() -> None:
    zone = {
        ("www.test", CNAME): Rows(("web.test",), 90),
        ("web.test", CNAME): Rows(("a.test",), 9),
        ("a.test", A): Rows(("10.0.0.1",), 30),
    }
    with DnsServer(zone, chases=False) as server:
        found = await resolver(server, search=("b.test",)).resolve("www.test.")
        assert (found.addresses, found.ttl_s) == (("10.0.0.1",), 9)
        assert {name for name, _, _ in server.questions} == {"www.test", "web.test", "a.test"}


async def test_an_alias_whose_absence_the_answer_says_is_not_asked_for_again() -> None:
    zone = {("www.test", CNAME): Rows(("web.test",), 9), ("web.test", 16): Rows(())}
    with DnsServer(zone, negative_ttl=7) as server, pytest.raises(NameAbsentError) as caught:
        await resolver(server).resolve("www.test")
    assert caught.value.ttl_s == 7
    assert server.asked("web.test") == 0


async def test_aliases_without_an_end_are_given_up() -> None:
    zone = {("a.test", CNAME): Rows(("b.test",)), ("b.test", CNAME): Rows(("a.test",))}
    with DnsServer(zone, chases=False) as server:
        with pytest.raises(ResolveError):
            await resolver(server).resolve("a.test")
        assert server.asked("a.test") + server.asked("b.test") == 8


async def test_what_came_is_used_when_the_other_family_is_silent() -> None:
    results: list[tuple[str, str]] = []
    partial: list[Resolution] = []
    zone = {("web.test", A): Rows(("10.0.0.1",), 1)}
    with DnsServer(zone, silent_about=frozenset({AAAA})) as server:
        asked = resolver(server, count=lambda *what: results.append(what))
        found = await asked.resolve("web.test", on_partial=partial.append)
    # Not after the ten seconds that the other question goes on for: what came is to be asked for again by
    # then.
    assert partial == [found] == [Resolution(("10.0.0.1",), 1)]
    assert results == [("A", "ok")]


async def test_a_late_family_is_not_waited_for_without_a_listener() -> None:
    zone = {("web.test", A): Rows(("10.0.0.1",), 3600)}
    with DnsServer(zone, silent_about=frozenset({AAAA})) as server:
        assert (await resolver(server).resolve("web.test")).addresses == ("10.0.0.1",)


async def test_a_name_that_does_not_exist_is_known_by_one_answer() -> None:
    with DnsServer(negative_ttl=17, silent_about=frozenset({AAAA})) as server:
        with pytest.raises(NameAbsentError):
            await resolver(server).resolve("web.test")
        # Not at all, when the denial was there first.
        assert server.asked("web.test", kind=AAAA) <= 1


async def test_a_denial_of_aaaa_alone_waits_for_what_a_says() -> None:
    def denied(query: bytes) -> list[bytes]:
        is_aaaa = read_question(query)[1] == AAAA
        return [encode_answer(query, [], rcode=NO_NAME)] if is_aaaa else []

    zone = {("web.test", A): Rows(("10.0.0.1",), 30)}
    with DnsServer(zone, before=denied, silent_about=frozenset({A})) as server:
        finding = spawn(resolver(server, timeout_s=30).resolve("web.test"), name="finding")
        # The denial is there before the other question is asked a second time and answered.
        await eventually_async(
            lambda: server.asked("web.test", kind=AAAA) and server.asked("web.test") >= 1
        )
        server.silent_about = frozenset()
        assert (await finding).addresses == ("10.0.0.1",)


async def test_a_lost_datagram_is_sent_again() -> None:
    zone = {("web.test", A): Rows(("10.0.0.1",)), ("web.test", AAAA): Rows(("::1",))}
    with DnsServer(zone, loses=2) as server:
        found = await resolver(server, timeout_s=30).resolve("web.test")
        assert set(found.addresses) >= {"10.0.0.1"}
        assert server.asked("web.test") + server.asked("web.test", kind=AAAA) == 4


async def test_a_name_that_does_not_exist_and_for_how_long() -> None:
    with DnsServer(negative_ttl=17) as server, pytest.raises(NameAbsentError) as caught:
        await resolver(server).resolve("web.test")
    assert caught.value.ttl_s == 17


async def test_a_name_without_addresses_is_absent_too() -> None:
    zone = {("web.test", 16): Rows(())}
    with DnsServer(zone) as server, pytest.raises(NameAbsentError) as caught:
        await resolver(server).resolve("web.test")
    assert caught.value.ttl_s == 5


async def test_what_is_no_name_is_absent_without_a_question() -> None:
    with DnsServer() as server:
        with pytest.raises(NameAbsentError):
            await resolver(server).resolve("no name")
        assert server.questions == []


async def test_the_search_path_is_walked() -> None:
    with DnsServer({("web.b.test", A): Rows(("10.0.0.1",))}) as server:
        found = await resolver(server, search=("a.test", "b.test")).resolve("web")
        assert found.addresses == ("10.0.0.1",)
        assert server.asked("web.a.test") == 1
        assert server.asked("web") == 0


async def test_a_suffix_that_makes_a_name_too_long_is_left_out() -> None:
    name = ".".join(["a" * 60] * 4)
    with DnsServer({(name, A): Rows(("10.0.0.1",))}) as server:
        found = await resolver(server, search=("svc.cluster.local", "b")).resolve(name)
        assert found.addresses == ("10.0.0.1",)
        assert {asked for asked, _, _ in server.questions} <= {name, f"{name}.b"}


async def test_a_failure_does_not_lead_on_to_the_next_name() -> None:
    with DnsServer(rcode=SERVFAIL) as server:
        with pytest.raises(ResolveError):
            await resolver(server, search=("a.test",)).resolve("web")
        assert {name for name, _, _ in server.questions} == {"web.a.test"}


async def test_a_dead_server_is_passed_over() -> None:
    zone = {("web.test", A): Rows(("10.0.0.1",))}
    with DnsServer(rcode=SERVFAIL) as bad, DnsServer(silent=True) as dead, DnsServer(zone) as good:
        found = await resolver(bad, dead, good, timeout_s=0.1).resolve("web.test")
    assert found.addresses == ("10.0.0.1",)


async def test_a_silent_server_holds_up_nobody_for_its_whole_time() -> None:
    zone = {("web.test", A): Rows(("10.0.0.1",))}
    with DnsServer(silent=True) as dead, DnsServer(zone) as good:
        # pytest's own limit is below this one.
        found = await resolver(dead, good, timeout_s=300).resolve("web.test")
    assert found.addresses == ("10.0.0.1",)


async def test_settings_that_changed_are_used(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    zone = {("web.test", A): Rows(("10.0.0.1",))}
    with DnsServer() as old, DnsServer(zone) as new:
        asked = Resolver(ResolvConf(str(path)), hosts=Hosts(str(NOWHERE)), count=lambda *_: None)
        for server in (old, new):
            path.write_text(
                "nameserver [{}]:{}\n".format(*server.address) + "#" * server.address[1]
            )
            with contextlib.suppress(NameAbsentError):
                found = await asked.resolve("web.test")
    assert found.addresses == ("10.0.0.1",)


async def test_a_refused_port_is_passed_over() -> None:
    with DnsServer() as gone:
        pass
    with DnsServer({("web.test", A): Rows(("10.0.0.1",))}) as good:
        found = await resolver(gone, good).resolve("web.test")
    assert found.addresses == ("10.0.0.1",)


async def test_a_cut_answer_is_asked_for_again_over_tcp() -> None:
    with DnsServer({("web.test", A): Rows(("10.0.0.1",))}, truncate=True) as server:
        found = await resolver(server).resolve("web.test")
        assert {how for _, _, how in server.questions} == {"udp", "tcp"}
    assert found.addresses == ("10.0.0.1",)


async def test_forged_datagrams_are_not_believed() -> None:
    def forged(query: bytes) -> list[bytes]:
        number = (int.from_bytes(query[:2]) + 1) % 65536
        return [b"", b"nonsense", encode_answer(number.to_bytes(2) + query[2:], [])]

    with DnsServer({("web.test", A): Rows(("10.0.0.1",))}, before=forged) as server:
        found = await resolver(server).resolve("web.test")
    assert found.addresses == ("10.0.0.1",)


async def test_hosts_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("10.9.9.9 web.test\n")
    with DnsServer({("web.test", A): Rows(("10.0.0.1",))}) as server:
        found = await resolver(server, hosts=path).resolve("web.test")
        assert server.questions == []
    assert found.addresses == ("10.9.9.9",)


@pytest.mark.parametrize("name", ["localhost", "x.localhost", "LOCALHOST."])
async def test_localhost_is_never_asked_for(name: str) -> None:
    with DnsServer() as server:
        assert (await resolver(server).resolve(name)).addresses == ("127.0.0.1",)
        assert server.questions == []


class Watched:
    """A watch of `web.test` and what it reported."""

    def __init__(self, server: DnsServer, *, bounds: TtlBounds) -> None:
        self.reports: list[tuple[str, ...]] = []
        self.absences = 0
        listener = NameListener(on_addresses=self.reports.append, on_absent=self._on_absent)
        limits = BackoffRange(min_s=0.02, max_s=0.02, jitter=0)
        self.task = spawn(
            follow_name(
                "web.test",
                resolver=resolver(server),
                listener=listener,
                bounds=bounds,
                backoff=Backoff(limits, source=random.Random(1).random, clock=SystemClock()),
            ),
            name="watch",
        )

    def _on_absent(self) -> None:
        self.absences += 1


SOON = TtlBounds(min_s=0.02, max_s=0.02)


async def test_a_watch_reports_changes_only() -> None:
    with DnsServer({("web.test", A): Rows(("10.0.0.1", "10.0.0.2"))}) as server:
        watch = Watched(server, bounds=SOON)
        await eventually_async(lambda: server.asked("web.test") >= 3)
        assert watch.reports == [("10.0.0.1", "10.0.0.2")]
        server.zone[("web.test", A)] = Rows(("10.0.0.3",))
        await eventually_async(lambda: watch.reports[1:] == [("10.0.0.3",)])
        await cancel_all([watch.task])


async def test_a_watch_reports_what_came_and_then_the_rest() -> None:
    zone = {("web.test", A): Rows(("10.0.0.1",), 3600), ("web.test", AAAA): Rows(("::1",), 3600)}
    with DnsServer(zone, silent_about=frozenset({AAAA})) as server:
        watch = Watched(server, bounds=TtlBounds(None, None))
        await eventually_async(lambda: watch.reports == [("10.0.0.1",)])
        server.silent_about = frozenset()
        await eventually_async(lambda: watch.reports[1:] == [("10.0.0.1", "::1")])
        assert server.asked("web.test") == 1
        await cancel_all([watch.task])


async def test_the_ttl_is_honoured() -> None:
    with DnsServer({("web.test", A): Rows(("10.0.0.1",), ttl=3600)}) as server:
        watch = Watched(server, bounds=TtlBounds(min_s=0.01, max_s=None))
        await eventually_async(lambda: watch.reports)
        await asyncio.wait([watch.task], timeout=0.2)
        assert server.asked("web.test") == 1
        await cancel_all([watch.task])


async def test_the_last_good_answer_outlives_failures_and_denials() -> None:
    with DnsServer({("web.test", A): Rows(("10.0.0.1",))}) as server:
        watch = Watched(server, bounds=SOON)
        await eventually_async(lambda: watch.reports)
        server.rcode = SERVFAIL
        count = len(server.questions)
        await eventually_async(lambda: len(server.questions) >= count + 6)
        server.rcode = 0
        server.zone.clear()
        count = len(server.questions)
        await eventually_async(lambda: len(server.questions) >= count + 6)
        assert (watch.reports, watch.absences) == ([("10.0.0.1",)], 0)
        await cancel_all([watch.task])


async def test_an_absence_is_reported_until_the_name_appears() -> None:
    with DnsServer() as server:
        watch = Watched(server, bounds=SOON)
        await eventually_async(lambda: watch.absences >= 2)
        server.zone[("web.test", A)] = Rows(("10.0.0.1",))
        await eventually_async(lambda: watch.reports == [("10.0.0.1",)])
        await cancel_all([watch.task])


def test_ttls_are_clamped() -> None:
    assert TtlBounds(min_s=None, max_s=None).clamp(0) == 1.0
    assert TtlBounds(min_s=5, max_s=10).clamp(1) == 5
    assert TtlBounds(min_s=5, max_s=10).clamp(100) == 10
