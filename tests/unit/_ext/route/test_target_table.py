"""The target table: who is asked about a target, and who is told that nobody uses it."""

from linkerd2_py._ext.route.target import Target
from tests.support.raw_socket import RawListener
from tests.support.route_rig import GET, MS, Rig


def test_the_shell_is_asked_once_for_each_key(rig: Rig) -> None:
    asked: list[bytes] = []
    table = rig.table(on_unknown=lambda target: asked.append(target.key))
    first = table.lookup(b"a.test:80")
    assert table.lookup(b"a.test:80") is first
    table.lookup(b"b.test:80")
    assert asked == [b"a.test:80", b"b.test:80"]
    assert (first.key, first.port) == (b"a.test:80", 80)


def test_what_the_shell_installs_it_is_not_asked_about(rig: Rig) -> None:
    asked: list[bytes] = []
    table = rig.table(on_unknown=lambda target: asked.append(target.key))
    static = table.install(b"a.test:80")
    assert table.install(b"a.test:80") is static
    assert table.lookup(b"a.test:80") is static
    assert asked == []


def test_a_key_that_was_removed_is_asked_about_again(rig: Rig) -> None:
    asked: list[Target] = []
    table = rig.table(on_unknown=asked.append)
    first = table.lookup(b"a.test:80")
    table.remove(first)
    second = table.lookup(b"a.test:80")
    assert second is not first
    assert asked == [first, second]
    # Not the one that took its place.
    table.remove(first)
    assert table.targets() == [second]


def test_an_idle_target_is_told_of_again_and_again(rig: Rig) -> None:
    idle: list[Target] = []
    table = rig.table(on_idle_target=idle.append, idle_ns=5 * MS)
    target = table.lookup(b"a.test:80")
    rig.until(lambda: len(idle) >= 3)
    assert set(idle) == {target}
    table.remove(target)
    count = len(idle)
    other = table.lookup(b"b.test:80")
    rig.until(lambda: other in idle)
    assert idle[count:].count(target) == 0


def test_one_in_use_is_not_idle(rig: Rig) -> None:
    idle: list[bytes] = []
    table = rig.table(on_idle_target=lambda target: idle.append(target.key), idle_ns=5 * MS)
    used, unused = table.lookup(b"used.test:80"), table.lookup(b"unused.test:80")
    used.configure()
    seen = rig.ask(used, table)
    rig.until(lambda: idle.count(unused.key) >= 3)
    assert used.key not in idle
    assert seen.request is not None
    seen.request.cancel()
    rig.until(lambda: used.key in idle)


def test_closing_closes_every_target(rig: Rig) -> None:
    table = rig.table()
    target = table.lookup(b"a.test:80")
    target.configure()
    seen = rig.ask(target, table)
    table.close()
    rig.until(seen.over)
    assert seen.status() == 503
    assert table.targets() == []


def test_a_connection_that_outlives_its_target_has_its_key_asked_about_again(
    rig: Rig, listener: RawListener
) -> None:
    asked: list[Target] = []

    def on_unknown(target: Target) -> None:
        asked.append(target)
        target.configure()
        target.reject(404, "nobody")

    table = rig.table(on_unknown=on_unknown)
    target = table.lookup(b"a.test:80")
    _, address = rig.server(table, target)
    client = rig.connect(address)
    client.send(GET)
    rig.until(lambda: b" 404 " in client.take())
    table.remove(target)
    client.send(GET)
    rig.until(lambda: client.take().count(b" 404 ") == 2)
    assert len(asked) == 2
